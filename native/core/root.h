// `--root DIR`: the tree at DIR becomes the root directory. And what of the machine is bound into it, or into a
// container.
#pragma once

#include "plan.h"
#include "result.h"
#include "sys.h"

namespace appc {

class RootTree {
 public:
  /** Mounts a clone of the tree over itself: pivot_root wants a mount point. */
  Result mount(const char* directory);
  /** Makes it the root directory and leaves nothing of the machine's mounts behind but what was bound. */
  Result enter();
  void remove();

  int get() const { return tree_.get(); }

 private:
  const char* directory_ = nullptr;
  sys::Descriptor tree_;
};

/** Puts the plan's machine paths onto paths inside, which are looked up from `viewRoot`. */
Result bindInto(const Plan& plan, int viewRoot);

}  // namespace appc
