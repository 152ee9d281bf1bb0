#include "mount-id.h"

#include <errno.h>

#include "sys.h"

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000U
#endif

namespace appc {

bool findMountId(int directory, const char* path, MountId& id) {
  struct statx status;
  const int flags = *path == '\0' ? AT_EMPTY_PATH : 0;
  if (sys::statAt(directory, path, flags, STATX_MNT_ID_UNIQUE, status) < 0) return false;
  id = {status.stx_mnt_id, (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0};
  return (status.stx_mask & STATX_MNT_ID_UNIQUE) != 0;
}

Result checkNothingMounted(int directory, const char* target) {
  MountId id;
  if (!findMountId(directory, "", id)) return failure(Step::checkMounts, target, ENOSYS);
  // Mounts are listed in the order in which they were made: those in it came after it.
  const int found = sys::hasMountsIn(id.number);
  return found == 0 ? success() : failure(Step::checkMounts, target, found < 0 ? found : 0);
}

}  // namespace appc
