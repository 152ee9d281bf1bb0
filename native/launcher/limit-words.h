#pragma once

#include "confine.h"

namespace appc {

/** `NAME=VALUE`. Exits on what makes no sense. */
void addLimit(ConfinementWords& words, const char* text);

}  // namespace appc
