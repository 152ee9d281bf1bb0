// Laying a plan's directories over the host. Everything is opened before anything is mounted, and mounted by
// descriptor: a name that is exchanged for a symlink meanwhile leads nowhere else.
#pragma once

#include "mountinfo.h"
#include "namespaces.h"
#include "plan.h"
#include "result.h"
#include "sys.h"

namespace appc {

/** In every layer an empty directory of this name, on which the host's own directory is put: see restoreHost(). */
inline constexpr const char* hostDirectory = ".appc-host";

/** MOUNT_ATTR_…: read-only, and what the host forbids on the file system of `lower`. */
unsigned attributesOf(int lower);

/**
 * Creates a read-only overlay of the directory `layer` over the directory `lower`, not attached anywhere yet. `target`
 * is what failures name, `source` what mountinfo shows.
 */
Result createOverlay(const char* target, const char* source, int layer, int lower, sys::Descriptor& mounted);

/** Whether an overlay cannot be had here, and a skeleton may stand in for it (skeleton.h). */
bool isOverlayRefused(const Result& result);

class Overlays {
 public:
  /** Opens all directories and clones what goes back on top. `viewRoot`: the root directory, in the own namespace. */
  Result open(const Plan& plan, int viewRoot);
  /** Mounts in the plan's order. On a failure, those that were mounted stay until remove(). */
  Result mount(const Plan& plan, int viewRoot, const char* source);
  /** Of a plan that carries nothing: whether nothing was mounted in the directories when they were opened. */
  Result checkNothingBelow(const Plan& plan) const;
  /** Takes the overlays away again, the last one first. */
  void remove();
  /** The root directory of one that was mounted. */
  int mounted(uint32_t index) const { return mounted_[index].get(); }

 private:
  Result mountOne(const Plan& plan, uint32_t index, int viewRoot, const char* source);
  Result putBack(const Plan& plan, const file::Overlay& overlay, int viewRoot);

  sys::Descriptor lower_[maxOverlays];
  sys::Descriptor layer_[maxOverlays];
  sys::Descriptor host_[maxOverlays];
  sys::Descriptor carried_[maxCarried];
  sys::Descriptor mounted_[maxOverlays];
  uint32_t mountedCount_ = 0;
};

/**
 * Inside a container the directories are mixed, while a plan holds for the host: puts the host's own directory, kept
 * below each overlay of appc, on top of it. (They cannot be unmounted: in a user namespace below, they are locked.)
 * Sets `restored` when there was something to do; the mount table has then changed.
 */
Result restoreHost(MountTable& table, Namespaces& namespaces, bool& restored);

}  // namespace appc
