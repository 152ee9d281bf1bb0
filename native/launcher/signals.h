// Ignored signals (`nohup appc-run …`) are inherited by the program, but Node sets nearly all back to their default
// when it starts. So the launcher tells them to itself, around Node, in APPC_REPLANNED.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace appc {

/** Bit N-1 for signal N. */
uint64_t ignoredSignals();

void ignoreAgain(uint64_t signals);

void setDefaultAction(int signal);

/** write(2), but without SIGPIPE where nobody reads any more. */
long writeUnread(int fd, const void* bytes, size_t size);

}  // namespace appc
