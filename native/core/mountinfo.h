// /proc/self/mountinfo, read once and gone over several times.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "plan.h"
#include "result.h"
#include "sys.h"
#include "text.h"

namespace appc {

/**
 * The source that appc's overlays carry, and what stands in for them, alone or with a colon and what tells of the
 * launch after it (native/launcher/signature.h); it tells them from all others in mountinfo.
 */
inline constexpr const char* overlaySource = "appc";

struct Mount {
  uint64_t id = 0;
  uint64_t parent = 0;
  PathText point;
  /** An overlay that appc mounted, or the tmpfs in its place. */
  bool ours = false;
  /** A directory of a confinement's own, in the place of the host's (private-mounts.h). */
  bool isPrivate = false;
};

/** False for a line that is not mountinfo's. `line` ends with a NUL. */
bool parseMount(const char* line, Mount& mount);

/**
 * Tells the host's mounts from what appc itself has mounted over them. After restoreHost() the table still lists the
 * overlays, covered; a plan is about the host alone.
 */
class HostMounts {
 public:
  /** To be called for every mount, parents first. False when there are too many overlays to remember. */
  bool note(const Mount& mount);
  /** Whether it is the host's and can be seen. */
  bool has(const Mount& mount) const;

 private:
  bool isOurs(uint64_t id) const;

  /** As many as containers nested in one another, times their overlays. */
  uint64_t ours_[4 * maxOverlays];
  size_t count_ = 0;
};

/** Whether `mount` is what the path of its mount point leads to: not covered by another. */
bool isVisible(const Mount& mount);

class MountTable {
 public:
  static constexpr size_t capacity = 1 << 16;

  /** Reads the table as it is now. */
  Result load();

  /** Calls visit(const Mount&) for each mount, parents first. */
  template <typename Visit>
  Result forEach(Visit visit) {
    for (;;) {
      size_t lineStart = 0;
      for (size_t at = 0; at < filled_; ++at) {
        if (buffer_[at] != '\n') continue;
        buffer_[at] = '\0';
        const bool parsed = parseMount(buffer_ + lineStart, mount_);
        buffer_[at] = '\n';
        if (!parsed) return failure(Step::readMounts, mountinfoPath, 0);
        visit(mount_);
        lineStart = at + 1;
      }
      if (whole_) return success();
      if (const Result more = readOn(lineStart); !more.ok()) return more;
      if (filled_ == 0) return load();
    }
  }

 private:
  static constexpr const char* mountinfoPath = "/proc/self/mountinfo";

  Result fill();
  Result readOn(size_t consumed);

  sys::Descriptor fd_;
  Mount mount_;
  size_t filled_ = 0;
  /** The buffer holds all of it: no more need be read. */
  bool whole_ = false;
  char buffer_[capacity];
};

/**
 * Whether the host's mounts below each overlay's target are the plan's `carried` ones: overlay would hide the others.
 */
Result checkCarried(const Plan& plan, MountTable& table);

}  // namespace appc
