#pragma once

#include "result.h"

namespace appc {

/** What this process has entered so far. */
struct Namespaces {
  bool entered = false;
};

/** A private mount namespace whose mounts do not get back to the host; nothing when already entered. */
Result enterNamespaces(Namespaces& namespaces);

}  // namespace appc
