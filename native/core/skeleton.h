// What stands in for an overlay where the kernel refuses one: a tmpfs in which every name of the host's directory and
// of the layer is there, with the file or directory itself bound to it. It is weaker: what the host adds or replaces is
// seen by the next launch only. And it is slower: each name is a bind, of some 40 µs.
#pragma once

#include "plan.h"
#include "result.h"
#include "sys.h"

namespace appc {

/** Creates the tmpfs, empty and not attached anywhere yet. `target` is what failures name; `source` as an overlay's. */
Result createSkeleton(const char* target, const char* source, sys::Descriptor& mounted);

/**
 * Fills it with what the overlay, of the directory `layer` over the directory `lower`, would show with the carried
 * mounts on top, and makes it read-only. It must be attached: before Linux 6.15 nothing can be mounted in a tree that
 * is not.
 */
Result fillSkeleton(const Plan& plan, const file::Overlay& overlay, int layer, int lower, int skeleton);

}  // namespace appc
