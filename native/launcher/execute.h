// The last step of a launch.
#pragma once

namespace appc {

/** Becomes the program at `path`. Exits with 127 or 126, and says why, when there is none or the kernel refuses it. */
[[noreturn]] void executeAt(const char* path, const char* const* argv, const char* const* environment);

/** The same for `argv[0]`: a name without a slash is looked for in the directories of the environment's PATH. */
[[noreturn]] void executeCommand(const char* const* argv, const char* const* environment);

}  // namespace appc
