// Mounts by their unique numbers: statx(2) and listmount(2), since Linux 6.8.
#pragma once

#include <stdint.h>

#include "result.h"

namespace appc {

struct MountId {
  /** Unlike others, not used again before the next boot. */
  uint64_t number = 0;
  /** Whether the path is the mount's own root directory. */
  bool isRoot = false;
};

/** Of the mount that the path lies in, "" for the directory itself. False where the kernel does not tell. */
bool findMountId(int directory, const char* path, MountId& id);

/**
 * Whether nothing is mounted in the mount whose root directory this is; `target` is what the failure names, with an
 * errno where the kernel refuses to tell.
 */
Result checkNothingMounted(int directory, const char* target);

}  // namespace appc
