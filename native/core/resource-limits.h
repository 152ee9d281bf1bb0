#pragma once

#include "confinement.h"
#include "result.h"
#include "sys.h"
#include "text.h"

namespace appc {

/** setrlimit(2) for each, soft and hard. */
Result setProcessLimits(const Confinement& confinement);

/** Adds what another process can have less of than this one: its hard limits, which it cannot have raised. */
Result copyProcessLimits(int process, Confinement& confinement);

/**
 * A control group (cgroup v2) of the program's own below that of the caller, where that was delegated to him. Nothing
 * of it is left when the process that holds it has called remove().
 */
class ControlGroup {
 public:
  /** Finds the caller's, to be written to when all that is mounted becomes read-only. In a mount namespace of its own.
   */
  Result open();
  /** Makes the directory and writes the limits; `identity` tells it from others. */
  Result make(const GroupLimits& limits, int identity);
  bool isMade() const { return name_.length() > 0; }
  /** Moves the calling process, which has one thread, into it. */
  Result join() const;
  /** Kills what is in it. The directory can be removed when all of that was waited for. */
  void kill() const;
  /** A negative errno: EBUSY while processes are in it. */
  int remove();

 private:
  sys::Descriptor parent_;
  sys::Descriptor group_;
  Text<32> name_;
};

}  // namespace appc
