#include <errno.h>

#include "mounts.h"
#include "text.h"

namespace appc {
namespace {

struct Covered {
  uint64_t id;
  size_t length;
  char point[4096];
};

/** Those of our overlays that can be seen, outermost first. */
struct CoveredDirectories {
  Covered at[maxOverlays];
  uint32_t count;

  bool insert(const Mount& mount) {
    if (count == maxOverlays) return false;
    uint32_t place = count++;
    for (; place > 0 && at[place - 1].length > mount.point.length(); --place) at[place] = at[place - 1];
    at[place].id = mount.id;
    at[place].length = mount.point.length();
    memcpy(at[place].point, mount.point.get(), mount.point.length() + 1);
    return true;
  }
};

Result restoreOne(const Covered& covered) {
  const char* path = covered.point;
  PathText hostPath;
  hostPath.add(path).add('/').add(hostDirectory);
  constexpr uint64_t strictly = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const sys::Descriptor target(sys::openResolved(AT_FDCWD, path, O_PATH | O_DIRECTORY, strictly));
  if (target.error() != 0) return failure(Step::openDirectory, path, target.error());
  struct statx status;
  const int error = sys::statAt(target.get(), "", AT_EMPTY_PATH, STATX_MNT_ID, status);
  if (error < 0) return failure(Step::openDirectory, path, error);
  // Restoring a directory above it has brought the host's own back already.
  if (status.stx_mnt_id != covered.id) return success();
  const sys::Descriptor host(sys::openResolved(AT_FDCWD, hostPath.get(), O_PATH | O_DIRECTORY, strictly));
  if (host.error() != 0) return failure(Step::openDirectory, path, host.error());
  const sys::Descriptor clone(sys::openTree(host.get(), OPEN_TREE_CLONE | AT_RECURSIVE));
  if (clone.error() != 0) return failure(Step::cloneTree, path, clone.error());
  const int attached = sys::moveMount(clone.get(), target.get());
  return attached < 0 ? failure(Step::attachMount, path, attached) : success();
}

Result findCovered(MountTable& table, CoveredDirectories& directories) {
  directories.count = 0;
  bool fits = true;
  const Result read = table.forEach([&](const Mount& mount) {
    if (mount.ours && isVisible(mount)) fits = directories.insert(mount) && fits;
  });
  if (!read.ok()) return read;
  return fits ? success() : failure(Step::checkMounts, nullptr, EOVERFLOW);
}

}  // namespace

Result restoreHost(MountTable& table, Namespaces& namespaces, bool& restored) {
  static CoveredDirectories directories;
  Result found = findCovered(table, directories);
  restored = found.ok() && directories.count > 0;
  if (!restored) return found;
  if (!namespaces.entered) {
    // Copies of the mounts in a new namespace have new ids, so the table is read again there.
    found = enterNamespaces(namespaces);
    if (found.ok()) found = table.load();
    if (found.ok()) found = findCovered(table, directories);
    if (!found.ok()) return found;
  }
  for (uint32_t i = 0; i < directories.count; ++i) {
    if (const Result result = restoreOne(directories.at[i]); !result.ok()) return result;
  }
  return success();
}

}  // namespace appc
