// The way back to Node when there is no plan that holds.
#pragma once

#include <stddef.h>

#include "options.h"
#include "request.h"
#include "result.h"

namespace appc {

/**
 * Replaces this process by Node, which plans and starts appc-run again with the same arguments, environment and
 * descriptors. `because` is what was found wrong; told when planning again and again does not help.
 */
[[noreturn]] void goCold(const Options& options, const Request& request, const char* const* argv,
                         const char* const* environment, const Result& because);

}  // namespace appc
