#pragma once

#include "result.h"

namespace appc {

/** Exit statuses, as env(1) and other programs that start programs have them. */
enum class Exit { success = 0, failed = 125, notExecutable = 126, notFound = 127 };

/** In a process whose failure another has to learn: a byte to this descriptor, before fail() exits. */
void tellFailureTo(int fd);

/** Writes `appc-run: MESSAGE SUBJECT: CAUSE` and a hint, where there are such, and exits. */
[[noreturn]] void fail(Exit status, const char* message, const char* subject, const char* cause, const char* hint);

/** The same for a failed step. */
[[noreturn]] void fail(Exit status, const Result& result);

}  // namespace appc
