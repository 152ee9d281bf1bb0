// The caller's descriptors, in processes that stay beside the program.
#pragma once

#include "confinement.h"
#include "process.h"

namespace appc {

/** Not one of this process's own, which are close-on-exec. */
inline void closeCallers(int fd) {
  if (sys::call(SYS_fcntl, fd, F_GETFD) == 0) sys::close(fd);
}

/** Those that the program keeps. */
inline void closeKept(const Confinement& confinement) {
  for (size_t i = 0; i < confinement.keptCount; ++i) closeCallers(confinement.kept[i]);
}

}  // namespace appc
