#pragma once

#include "result.h"

namespace appc {

/** Filters the system calls of this process and its children, for good. Takes no_new_privs, or CAP_SYS_ADMIN. */
Result filterSystemCalls();

}  // namespace appc
