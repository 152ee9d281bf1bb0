#pragma once

#include "result.h"

namespace appc {

/** prctl(2), PR_SET_NO_NEW_PRIVS: from here on no exec gives more rights, whatever the file's mode or owner. */
Result forbidNewPrivileges();

/** From here on no exec gives this one. */
Result dropFromBounds(unsigned capability);

/**
 * Gives up every capability of this process, and that exec gives any back, to root either: in the namespace that owns
 * the mounts it could take them away. Takes no_new_privs.
 */
Result dropCapabilities();

}  // namespace appc
