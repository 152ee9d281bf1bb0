// Laying a plan's directories anew over the host's, under a program that goes on: what it has looked up before stays
// what it was, in an overlay, whatever becomes of the host's file.
#pragma once

#include "mountinfo.h"
#include "mounts.h"
#include "plan.h"
#include "result.h"
#include "sys.h"

namespace appc {

class Renewal {
 public:
  /**
   * For a process that has entered the namespaces of the container, `mountNamespace` among them. The overlays that the
   * plan has are exchanged for new ones, each in one step: at any moment there is either the old one or the new one.
   * Made and checked are all before the first is exchanged.
   */
  Result run(const Plan& plan, const char* source, int mountNamespace);

 private:
  Result prepare(const Plan& plan, const char* source);
  Result uncover(int root);
  Result openOld(const Plan& plan);
  Result exchange(const Plan& plan);

  MountTable table_;
  Overlays overlays_;
  /** New overlays with all that is mounted in them, not attached anywhere. */
  sys::Descriptor new_[maxOverlays];
  sys::Descriptor old_[maxOverlays];
};

}  // namespace appc
