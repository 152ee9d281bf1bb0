#include "namespaces.h"

#include <errno.h>
#include <linux/capability.h>

#include "capabilities.h"
#include "sys.h"
#include "text.h"

namespace appc {
namespace {

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

Result unshareAsUser(uint32_t uid, uint32_t gid) {
  if (const int error = sys::unshare(CLONE_NEWUSER | CLONE_NEWNS); error < 0) {
    return failure(Step::unshareUser, nullptr, error);
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

}  // namespace

Result enterNamespaces(Namespaces& namespaces) {
  if (namespaces.entered) return success();
  const uint32_t uid = sys::userId();
  const uint32_t gid = sys::groupId();
  const int error = uid == 0 ? sys::unshare(CLONE_NEWNS) : -EPERM;
  if (error < 0) {
    // Root without CAP_SYS_ADMIN (a container's root) may still be allowed what any user is.
    if (error != -EPERM) return failure(Step::unshareMounts, nullptr, error);
    if (const Result result = unshareAsUser(uid, gid); !result.ok()) return result;
  }
  namespaces.entered = true;
  // systemd makes / shared: without this every mount below would appear on the host. Slave, not private, so that what
  // the host mounts later (a USB stick, a home directory) is seen inside.
  const sys::Descriptor root(sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
  if (root.error() != 0) return failure(Step::openDirectory, "/", root.error());
  const int slave = sys::changePropagation(root.get(), MS_SLAVE);
  return slave < 0 ? failure(Step::makeSlave, "/", slave) : success();
}

}  // namespace appc
