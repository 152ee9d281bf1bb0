#pragma once

#include <stdint.h>

namespace appc {

/** The x86-64 level 1..4 that glibc's loader would find (glibc-hwcaps/x86-64-vN), 0 on other processors. */
uint32_t cpuLevel();

/** An x86 processor of Intel's, for which glibc has a $PLATFORM of its own. */
bool cpuIsIntel();

}  // namespace appc
