#pragma once

#include <stdint.h>

#include "program.h"
#include "resource-limits.h"
#include "state.h"
#include "terminal.h"

namespace appc {

/** What the supervisor hands on, in memory that the fork copies. */
struct Inheritance {
  const Launch& launch;
  const Program& program;
  /** Messages to and from the supervisor. */
  int socket;
  /** Closed by exec: its end without a byte means that the program was executed. */
  int executing;
  /** As the caller had them. */
  uint64_t signalMask;
  uint64_t ignoredSignals;
  /** Whether the program begins in the foreground of its terminal. */
  bool inForeground;
  Terminal& terminal;
  ControlGroup& group;
};

/** The process between the supervisor and the program. All signals are blocked. */
[[noreturn]] void runInit(Inheritance& inheritance);

}  // namespace appc
