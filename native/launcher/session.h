// The sockets of the user's session, where the environment says that they are.
#pragma once

#include "confinement.h"

namespace appc {

/** Shows those of the features that are let through. Exits when one cannot be found. */
void showFeatures(const char* const* environment, Confinement& confinement);

/** Shows the resolver's configuration, which is a link into /run where a service writes it. */
void showResolver(Confinement& confinement);

}  // namespace appc
