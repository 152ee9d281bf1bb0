// Failures in words.
#pragma once

#include "result.h"

namespace appc {

/** `EPERM`; `error` as a positive errno. "errno" for one without a name here. */
const char* errorName(int error);

/** `Operation not permitted`. */
const char* errorText(int error);

/** What was being done, to be followed by the path: `cannot mount an overlay`. */
const char* stepText(Step step);

/** The identifier of the step, for programs: `mountOverlay`. */
const char* stepName(Step step);

/** Whether a failure of the step means that the kernel forbids what a launch needs. */
bool isRefusal(Step step);

/** What usually is behind this errno at this step, and what helps; null when the error's own text says it all. */
const char* hintFor(const Result& result);

}  // namespace appc
