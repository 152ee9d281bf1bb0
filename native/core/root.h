// `--root DIR`: the tree at DIR becomes the root directory.
#pragma once

#include "plan.h"
#include "result.h"
#include "sys.h"

namespace appc {

class RootTree {
 public:
  /** Mounts a clone of the tree over itself: pivot_root wants a mount point. */
  Result mount(const char* directory);
  /** Puts the plan's machine paths onto paths inside. */
  Result bind(const Plan& plan);
  /** Makes it the root directory and leaves nothing of the machine's mounts behind but what was bound. */
  Result enter();
  void remove();

  int get() const { return tree_.get(); }

 private:
  const char* directory_ = nullptr;
  sys::Descriptor tree_;
};

}  // namespace appc
