// What the overlays of a launch are called in mountinfo: from there running containers are told, and whose they are
// (docs/formats.md, "Running containers"; read by lib/launch/signature.ts).
#pragma once

#include "result.h"
#include "state.h"
#include "text.h"

namespace appc {

/** fsconfig(2) takes no more than 255 bytes. */
using Signature = Text<256>;

/** `appc:STORE/KEY/VIEW/LAUNCH/PARTS`, for a plan that has overlays. */
Result sign(const Launch& launch, Signature& signature);

}  // namespace appc
