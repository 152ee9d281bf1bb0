#pragma once

#include "program.h"
#include "state.h"

namespace appc {

/**
 * Stays beside the program until its end, and ends as it did. Three processes: this one, in the caller's PID namespace,
 * which passes on signals and tells --status-fd; init, the first of the new PID namespace where there is one, which
 * reaps; and the program, its child. The end of any of the first two is the end of all.
 */
[[noreturn]] void supervise(Launch& launch, const Program& program);

}  // namespace appc
