// What --status-fd tells a supervisor: a JSON object a line.
#pragma once

#include "result.h"

namespace appc {

/** `{"event":"started",…}`: the program's process id, and the namespaces that it runs in. `fd` -1: nobody asks. */
Result tellStarted(int fd, int program);

/** `{"event":"exited","status":N}` or `"signal":N`; `status` as of wait(2). */
Result tellExited(int fd, int status);

}  // namespace appc
