// The command line of appc-run. It is parsed here and nowhere else: Node gets the result.
#pragma once

#include <stddef.h>

#include "confine.h"
#include "text.h"

namespace appc {

inline constexpr size_t maxLibraryDirectories = 64;

struct Options {
  const char* root = nullptr;
  const char* libraries[maxLibraryDirectories] = {};
  size_t libraryCount = 0;
  /** What runs of the container is ended first. */
  bool replace = false;
  /** Descriptors of namespaces to enter, with commas; then `program` is a command, to be run there. */
  const char* enter = nullptr;
  /** `PID:PARTS`: the process whose limits hold, and the parts of the confinement, in hexadecimal; null without one. */
  const char* confinedAs = nullptr;
  /** The program as it was typed; null for a container. */
  const char* program = nullptr;
  Text<129> container;
  /** Null when none is named. */
  const char* entry = nullptr;
  /** The program's arguments, the null at the end included; argv[0] is not among them. */
  const char* const* arguments = nullptr;
  ConfinementWords confinement;
  /** -1 when nobody asks. */
  int statusFd = -1;
  bool info = false;
};

/** Prints and exits on --help, --version and whatever makes no sense. */
void parseOptions(const char* const* argv, Options& options);

}  // namespace appc
