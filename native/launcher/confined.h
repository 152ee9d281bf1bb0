// A confinement, carried out.
#pragma once

#include "program.h"
#include "state.h"

namespace appc {

/** Composes it from the command line and the plan; nothing when none is asked for. Exits on what cannot be. */
void composeConfined(Launch& launch);

/** Whether the process has to have mounts or namespaces of its own for it. */
bool needsNamespaces(const Launch& launch);

/** Opens what is to be shown, before --root's tree is entered. */
Result openConfined(Launch& launch);

/** Namespaces and mounts, with `/` as the program will have it. */
Result mountConfined(Launch& launch);

/** What a process does to itself, as the last before it becomes the program. */
Result confineProcess(const Confined& confined);

/** Whether there has to be a process that stays beside the program. */
bool needsSupervisor(const Launch& launch);

}  // namespace appc
