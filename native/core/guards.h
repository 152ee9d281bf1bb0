// Whether what a plan relies on still holds. A guard that fails is not an error: the plan is made anew.
#pragma once

#include <stdint.h>
#include <sys/stat.h>

#include "plan.h"
#include "result.h"

namespace appc {

/**
 * Whether a failed call says that something is not there. A program that runs as this one looks at no more: to it, what
 * lies in a directory that it may not search (an RPATH into somebody's home), behind links that lead in circles or
 * under too long a name is not there (lib/plan/guards.ts).
 */
bool isAbsent(int error);

/** dev_t as glibc and Node give it. */
uint64_t deviceNumber(const struct statx& status);

int64_t inNanoseconds(const struct statx_timestamp& time);

/** Kernel and ids that the plan was made for, and the processor's level, as it is now. */
Result checkHost(const Plan& plan, uint32_t uid, uint32_t gid, uint32_t cpuLevel);

/** Every identity and absence; the failure's `path` is the guard's. */
Result checkGuards(const Plan& plan);

/**
 * The guards of the layers once more, when these have been opened: a launch holds no lock, so since the first look the
 * view may have been collected, and one of the same name begun.
 */
Result checkLayers(const Plan& plan);

/**
 * The guards that have a `seenAs`, through the mounted tree at `viewRoot`: a descriptor of its root directory, or
 * AT_FDCWD where that is this process's own, which takes less time. An overlay keeps what was looked up in it, names
 * that are not there too: so the program will find what was found here.
 */
Result checkThroughView(const Plan& plan, int viewRoot);

}  // namespace appc
