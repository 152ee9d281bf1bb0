// Entering namespaces that are there already.
#pragma once

#include <stddef.h>

#include "result.h"

namespace appc {

/**
 * Enters them in this order: a user namespace comes first, as it gives the right to enter the others. What is entered
 * with a mount namespace is its root directory too. `forksAway`: one of them was a PID namespace, which children are
 * in, but not this process.
 */
Result joinNamespaces(const int* namespaces, size_t count, bool& forksAway);

}  // namespace appc
