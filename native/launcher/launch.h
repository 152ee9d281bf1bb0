#pragma once

#include <stddef.h>

namespace appc {

/** The whole launcher. */
[[noreturn]] void launch(size_t argc, const char* const* argv, const char* const* environment);

}  // namespace appc
