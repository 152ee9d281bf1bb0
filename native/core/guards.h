// Whether what a plan relies on still holds. A guard that fails is not an error: the plan is made anew.
#pragma once

#include <stdint.h>
#include <sys/stat.h>

#include "plan.h"
#include "result.h"

namespace appc {

/** dev_t as glibc and Node give it. */
uint64_t deviceNumber(const struct statx& status);

/** Kernel, processor level and ids that the plan was made for. */
Result checkHost(const Plan& plan, uint32_t uid, uint32_t gid);

/** Every identity and absence; the failure's `path` is the guard's. */
Result checkGuards(const Plan& plan);

/** The guards that have a `seenAs`, through the mounted tree at `viewRoot` (a descriptor of its root directory). */
Result checkThroughView(const Plan& plan, int viewRoot);

}  // namespace appc
