// `appc exec`: a command in the namespaces of a container that runs. What may be entered is decided there
// (lib/launch/enter.ts); here it is done.
#pragma once

#include "state.h"

namespace appc {

/** Enters the namespaces that `options.enter` names and becomes the command, or waits for it where it must be a child.
 */
[[noreturn]] void enter(Launch& launch);

}  // namespace appc
