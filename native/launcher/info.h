#pragma once

#include "state.h"

namespace appc {

/** `--info`: prints what would be run, as a JSON object, and exits. `plan`: whether one holds, and if not why. */
[[noreturn]] void printInfo(const Launch& launch, const Result& plan);

}  // namespace appc
