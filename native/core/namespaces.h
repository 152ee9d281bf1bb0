#pragma once

#include <stdint.h>

#include "result.h"

namespace appc {

/** What this process has entered so far. */
struct Namespaces {
  bool entered = false;
};

/** CLONE_NEWUSER, with other flags of unshare(2): a user namespace in which these ids stand for themselves. */
Result unshareAsUser(int flags, uint32_t uid, uint32_t gid);

/** A private mount namespace whose mounts do not get back to the host; nothing when already entered. */
Result enterNamespaces(Namespaces& namespaces);

}  // namespace appc
