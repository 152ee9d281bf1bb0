#include "host-word.h"

#include "mount-id.h"
#include "sys.h"
#include "text.h"

namespace appc {
namespace {

/** The link that has the word of one mount namespace, and the text that tells boot and namespace from all others. */
struct Word {
  Text<16> name;
  Text<64> text;
};

/** False where the kernel does not say: before Linux 6.8, without /proc, or in a chroot. */
bool describeHost(Word& word) {
  // The times of procfs's root are those of its making: at boot.
  struct statx proc;
  constexpr uint64_t rootInode = 1;  // PROC_ROOT_INO, fs/proc/root.c
  if (sys::statAt(AT_FDCWD, "/proc", AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_CTIME, proc) < 0) return false;
  if (proc.stx_ino != rootInode || (proc.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0) return false;
  // A mount namespace is a copy with mounts of its own, so its root directory's mount stands for it. From a chroot only
  // a part of it is to be seen.
  MountId root;
  if (!findMountId(AT_FDCWD, "/", root) || !root.isRoot) return false;
  // Services have namespaces of their own, and new ones each time. They must not take away each other's word, nor pile
  // it up.
  word.name.add("host-").addHex(root.number % 16);
  word.text.addHex(static_cast<uint64_t>(proc.stx_ctime.tv_sec)).add('.').addHex(proc.stx_ctime.tv_nsec);
  word.text.add('-').addHex(root.number).add('-');
  return true;
}

/** Nobody else may say what this user's launches are to believe, nor lead what they write elsewhere. */
sys::Descriptor openOwnCache(const char* store, uint32_t uid) {
  PathText path;
  path.add(store).add("/cache");
  sys::Descriptor directory(
      sys::openResolved(AT_FDCWD, path.get(), O_PATH | O_DIRECTORY | O_NOFOLLOW, RESOLVE_NO_MAGICLINKS));
  struct statx status;
  const bool isOwn = path.fits() && directory.get() >= 0 &&
                     sys::statAt(directory.get(), "", AT_EMPTY_PATH, STATX_MODE | STATX_UID, status) == 0 &&
                     status.stx_uid == uid && (status.stx_mode & (S_IWGRP | S_IWOTH)) == 0;
  if (!isOwn) directory.reset(-1);
  return directory;
}

KnownHost read(int cache, const Word& word) {
  char found[80];
  const long length = sys::readlink(cache, word.name.get(), found, sizeof found - 1);
  if (length <= 0) return {};
  found[length] = '\0';
  if (!startsWith(found, word.text.get())) return {};
  const char* level = found + word.text.length();
  const bool isLevel = level[0] >= '0' && level[0] <= '9' && level[1] == '\0';
  return isLevel ? KnownHost{true, static_cast<uint32_t>(level[0] - '0')} : KnownHost{};
}

}  // namespace

KnownHost recallHost(const char* store, uint32_t uid) {
  Word word;
  if (!describeHost(word)) return {};
  const sys::Descriptor cache(openOwnCache(store, uid));
  return cache.get() < 0 ? KnownHost{} : read(cache.get(), word);
}

KnownHost leaveHostWord(const char* store, uint32_t uid, uint32_t cpuLevel) {
  Word word;
  if (cpuLevel > 9 || !describeHost(word)) return {};
  const sys::Descriptor cache(openOwnCache(store, uid));
  if (cache.get() < 0) return {};
  // Of many first launches at once one was before, or this one could not read it a moment ago.
  const KnownHost left = read(cache.get(), word);
  if (left.isBare && left.cpuLevel == cpuLevel) return left;
  word.text.addDecimal(cpuLevel);
  // A link, as it is made whole by one call, and read by one. Whoever comes between leaves the same, or another's of
  // the same name.
  sys::removeFile(cache.get(), word.name.get());
  const int error = sys::makeLink(word.text.get(), cache.get(), word.name.get());
  return error == 0 ? KnownHost{true, cpuLevel} : KnownHost{};
}

}  // namespace appc
