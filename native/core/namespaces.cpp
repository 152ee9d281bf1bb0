#include "namespaces.h"

#include <errno.h>
#include <linux/capability.h>

#include "capabilities.h"
#include "sys.h"
#include "text.h"

namespace appc {
namespace {

bool isMountPoint(const struct statx& directory) { return (directory.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0; }

Result writeFile(const char* path, const char* text) {
  const sys::Descriptor file(sys::open(AT_FDCWD, path, O_WRONLY));
  if (file.error() != 0) return failure(Step::mapIds, path, file.error());
  const long written = sys::write(file.get(), text, strlen(text));
  return written < 0 ? failure(Step::mapIds, path, static_cast<int>(written)) : success();
}

Result mapOntoItself(const char* path, uint32_t id) {
  Text<32> line;
  line.addDecimal(id).add(' ').addDecimal(id).add(" 1");
  return writeFile(path, line.get());
}

/** Not of a chroot to a mount point: that cannot be told. */
bool isChrooted() {
  struct statx root;
  return sys::statAt(AT_FDCWD, "/", 0, STATX_TYPE, root) == 0 && !isMountPoint(root);
}

/** The root of the mount that `directory` lies on, which may be above the root directory of this process. */
int openMount(int directory, sys::Descriptor& mount) {
  mount.reset(sys::open(directory, ".", O_PATH | O_DIRECTORY));
  for (;;) {
    if (mount.error() != 0) return -mount.error();
    struct statx status;
    const int error = sys::statAt(mount.get(), "", AT_EMPTY_PATH, STATX_TYPE, status);
    if (error < 0 || isMountPoint(status)) return error;
    mount.reset(sys::open(mount.get(), "..", O_PATH | O_DIRECTORY));
  }
}

/**
 * In a chroot(2) to what is no mount point. The mount that the root directory lies on may be shared, and can be named
 * only by its root, above. So this process takes a copy of the mounts as its root, from where it can walk up from the
 * old one, and puts the copy over that: like any other, its root directory is a mount point then, as pivot_root(2)
 * wants it.
 */
int leaveSharedMount(int root) {
  char workingDirectory[4096];
  const long length = sys::getcwd(workingDirectory, sizeof workingDirectory);
  const sys::Descriptor before(sys::open(AT_FDCWD, ".", O_PATH | O_DIRECTORY));
  const sys::Descriptor copy(sys::openTree(root, OPEN_TREE_CLONE | AT_RECURSIVE));
  if (copy.error() != 0) return -copy.error();
  int error = sys::changePropagation(copy.get(), MS_SLAVE);
  if (error == 0) error = sys::changeRoot(copy.get());
  sys::Descriptor mount;
  if (error == 0) error = openMount(root, mount);
  if (error == 0) error = sys::changePropagation(mount.get(), MS_SLAVE);
  if (error == 0) error = sys::moveMount(copy.get(), root);
  if (error < 0) return error;
  // One that was removed has no name any more.
  if (length > 0 && *workingDirectory == '/' && sys::chdir(workingDirectory) == 0) return 0;
  return before.error() != 0 ? -before.error() : sys::fchdir(before.get());
}

}  // namespace

Result unshareAsUser(int flags, uint32_t uid, uint32_t gid) {
  if (const int error = sys::unshare(flags); error < 0) {
    return failure(error == -EPERM && isChrooted() ? Step::unshareChrooted : Step::unshareUser, nullptr, error);
  }
  // user_namespaces(7): without privilege gid_map can be written only after setgroups was given up.
  Result result = writeFile("/proc/self/setgroups", "deny");
  if (result.ok()) result = mapOntoItself("/proc/self/uid_map", uid);
  if (result.ok()) result = mapOntoItself("/proc/self/gid_map", gid);
  // capabilities(7): those that root gave a file hold in a user namespace below his, too, and with this one a program
  // could take away what is mounted here.
  if (result.ok()) result = dropFromBounds(CAP_SYS_ADMIN);
  return result;
}

Result enterNamespaces(Namespaces& namespaces) {
  if (namespaces.entered) return success();
  const uint32_t uid = sys::userId();
  const uint32_t gid = sys::groupId();
  const int error = uid == 0 ? sys::unshare(CLONE_NEWNS) : -EPERM;
  if (error < 0) {
    // Root without CAP_SYS_ADMIN (a container's root) may still be allowed what any user is.
    if (error != -EPERM) return failure(Step::unshareMounts, nullptr, error);
    if (const Result result = unshareAsUser(CLONE_NEWUSER | CLONE_NEWNS, uid, gid); !result.ok()) return result;
  }
  namespaces.entered = true;
  // systemd makes / shared: without this every mount below would appear on the host. Slave, not private, so that what
  // the host mounts later (a USB stick, a home directory) is seen inside.
  const sys::Descriptor root(sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
  if (root.error() != 0) return failure(Step::openDirectory, "/", root.error());
  int slave = sys::changePropagation(root.get(), MS_SLAVE);
  if (slave == -EINVAL) slave = leaveSharedMount(root.get());
  return slave < 0 ? failure(Step::makeSlave, "/", slave) : success();
}

}  // namespace appc
