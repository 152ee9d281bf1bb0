// What the launcher tells itself around Node, in APPC_REPLANNED (docs/formats.md, "Planning anew").
#pragma once

#include <stdint.h>

namespace appc {

/** Never set for the program. */
inline constexpr const char* replannedVariable = "APPC_REPLANNED";

struct Replanned {
  /** How often this launch has been planned. */
  uint64_t rounds = 0;
  /** Bit N-1 for signal N. */
  uint64_t ignoredSignals = 0;
  /**
   * The descriptor by which Node holds others from linking the plan's private files; -1 without one. It is the only one
   * of ours that was not opened close-on-exec here.
   */
  int lock = -1;
};

/** A value that is not whole is none: it does not come from goCold(). */
Replanned findReplanned(const char* const* environment);

}  // namespace appc
