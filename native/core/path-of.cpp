#include "path-of.h"

#include "sys.h"

namespace appc {

int pathOf(int fd, PathText& path) {
  char buffer[4096];
  const long length = sys::readlink(AT_FDCWD, sys::DescriptorPath(fd).get(), buffer, sizeof buffer - 1);
  if (length < 0) return static_cast<int>(length);
  buffer[length] = '\0';
  path.clear();
  path.add(buffer);
  return 0;
}

}  // namespace appc
