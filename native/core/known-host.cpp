#include "known-host.h"

#include "sys.h"

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000U
#endif

namespace appc {
namespace {

/** statx(2): unlike others, the numbers of mounts that this gives are not used again before the next boot. */
bool uniqueMount(int directory, const char* path, uint64_t& id) {
  struct statx status;
  const int flags = *path == '\0' ? AT_EMPTY_PATH : 0;
  if (sys::statAt(directory, path, flags, STATX_MNT_ID_UNIQUE, status) < 0) return false;
  id = status.stx_mnt_id;
  return (status.stx_mask & STATX_MNT_ID_UNIQUE) != 0;
}

}  // namespace

bool describeHost(Text<64>& description) {
  // The times of procfs's root are those of its making: at boot, to the nanosecond.
  struct statx proc;
  constexpr uint64_t rootInode = 1;  // PROC_ROOT_INO, fs/proc/root.c
  if (sys::statAt(AT_FDCWD, "/proc", AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_CTIME, proc) < 0) return false;
  if (proc.stx_ino != rootInode || (proc.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0) return false;
  // A mount namespace is a copy with mounts of its own, so its root directory's mount stands for it.
  uint64_t root = 0;
  if (!uniqueMount(AT_FDCWD, "/", root)) return false;
  description.addHex(static_cast<uint64_t>(proc.stx_ctime.tv_sec)).add('.').addHex(proc.stx_ctime.tv_nsec);
  description.add('-').addHex(root).add('-');
  return description.fits();
}

KnownHost recallHost(const char* store) {
  PathText path;
  path.add(store).add("/cache/host");
  char word[80];
  const long length = path.fits() ? sys::readlink(AT_FDCWD, path.get(), word, sizeof word - 1) : -1;
  Text<64> description;
  if (length <= 0 || !describeHost(description)) return {};
  word[length] = '\0';
  if (!startsWith(word, description.get())) return {};
  const char* level = word + description.length();
  const bool isLevel = level[0] >= '0' && level[0] <= '9' && level[1] == '\0';
  return isLevel ? KnownHost{true, static_cast<uint32_t>(level[0] - '0')} : KnownHost{};
}

Result checkNothingMounted(int directory, const char* target) {
  uint64_t id = 0;
  if (!uniqueMount(directory, "", id)) return failure(Step::checkMounts, target, 0);
  // Mounts are listed in the order in which they were made: those in it came after it.
  const int found = sys::hasMountsIn(id);
  return found == 0 ? success() : failure(Step::checkMounts, target, found < 0 ? found : 0);
}

}  // namespace appc
