#pragma once

#include "state.h"

namespace appc {

/** The program that is asked for, as execve(2) wants it. */
struct Program {
  /** Null for a command, which is looked for by its name. */
  const char* path;
  const char* const* arguments;
  const char* const* environment;
};

/** Exits with 127 when the container has no entry of the name that is asked for. */
void requireEntry(const Launch& launch);

/** Where the entry that is asked for lies inside. */
const char* pathOfEntry(const Launch& launch);

/** After everything is mounted: looks the program up as it will be seen. Exits with 127 when there is none. */
Program findProgram(const Launch& launch);

/** Becomes the program, or exits with 126 or 127. */
[[noreturn]] void execute(const Program& program);

}  // namespace appc
