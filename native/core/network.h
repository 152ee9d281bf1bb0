#pragma once

#include "result.h"

namespace appc {

/** In a new network namespace even 127.0.0.1 cannot be reached until the loopback interface is up. */
Result raiseLoopback();

}  // namespace appc
