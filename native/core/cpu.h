#pragma once

#include <stdint.h>

namespace appc {

/** The x86-64 level 1..4 that glibc's loader would find (glibc-hwcaps/x86-64-vN), 0 on other processors. */
uint32_t cpuLevel();

}  // namespace appc
