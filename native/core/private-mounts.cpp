#include "private-mounts.h"

#include <errno.h>

#include "guards.h"
#include "text.h"

namespace appc {
namespace {

constexpr uint64_t inside = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
constexpr unsigned harmless = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

struct Setting {
  const char* key;
  const char* value;
};

template <size_t Count>
Result createFileSystem(Step step, const char* type, const char* target, const Setting (&settings)[Count],
                        unsigned attributes, sys::Descriptor& mounted) {
  const sys::Descriptor context(sys::fsopen(type));
  if (context.error() != 0) return failure(step, target, context.error());
  int error = 0;
  for (const Setting& setting : settings) {
    if (error == 0) error = sys::fsconfig(context.get(), FSCONFIG_SET_STRING, setting.key, setting.value);
  }
  if (error == 0) error = sys::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr);
  if (error < 0) return failure(step, target, error);
  mounted.reset(sys::fsmount(context.get(), attributes));
  return mounted.error() != 0 ? failure(step, target, mounted.error()) : success();
}

/** What root may change through /proc by being root, without any capability. */
constexpr const char* processSettings[] = {"sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi", "asound"};

Result coverReadOnly(int directory, const char* name) {
  const sys::Descriptor entry(sys::openResolved(directory, name, O_PATH, inside | RESOLVE_NO_SYMLINKS));
  if (entry.error() == ENOENT) return success();
  if (entry.error() != 0) return failure(Step::mountProc, name, entry.error());
  const sys::Descriptor clone(sys::openTree(entry.get(), OPEN_TREE_CLONE | AT_RECURSIVE));
  if (clone.error() != 0) return failure(Step::mountProc, name, clone.error());
  if (const Result made = makeReadOnly(name, clone.get()); !made.ok()) return made;
  const int error = sys::moveMount(clone.get(), entry.get());
  return error < 0 ? failure(Step::mountProc, name, error) : success();
}

/** The directory or file `name` of `directory`, made when it is not there. */
int openOrMake(int directory, const char* name, bool isDirectory, const OwnFileSystems& own) {
  const int kind = isDirectory ? O_DIRECTORY : 0;
  const uint64_t strictly = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const int found = sys::openResolved(directory, name, O_PATH | kind, strictly);
  if (found != -ENOENT) return found;
  bool isOwn = false;
  if (const int error = own.hold(directory, isOwn); error < 0) return error;
  if (!isOwn) return -ENOENT;
  const long made = isDirectory ? sys::call(SYS_mkdirat, directory, sys::word(name), 0755)
                                : sys::call(SYS_mknodat, directory, sys::word(name), S_IFREG | 0644, 0);
  if (made < 0 && made != -EEXIST) return static_cast<int>(made);
  return sys::openResolved(directory, name, O_PATH | kind, strictly);
}

}  // namespace

Result OwnFileSystems::add(const char* path, int fd) {
  struct statx status;
  const int error = sys::statAt(fd, "", AT_EMPTY_PATH, STATX_TYPE, status);
  if (error < 0) return failure(Step::mountPrivate, path, error);
  if (count_ == sizeof devices_ / sizeof *devices_) return failure(Step::mountPrivate, path, E2BIG);
  devices_[count_++] = deviceNumber(status);
  return success();
}

int OwnFileSystems::hold(int fd, bool& held) const {
  struct statx status;
  if (const int error = sys::statAt(fd, "", AT_EMPTY_PATH, STATX_TYPE, status); error < 0) return error;
  held = false;
  for (size_t i = 0; i < count_; ++i) held = held || devices_[i] == deviceNumber(status);
  return 0;
}

Result createTmpfs(const char* target, const char* mode, sys::Descriptor& mounted) {
  const Setting settings[] = {{"source", privateSource}, {"mode", mode}};
  return createFileSystem(Step::mountPrivate, "tmpfs", target, settings, harmless, mounted);
}

Result createTerminals(const char* target, sys::Descriptor& mounted) {
  const Setting settings[] = {{"source", privateSource}, {"ptmxmode", "0666"}, {"mode", "0620"}};
  return createFileSystem(Step::mountPrivate, "devpts", target, settings, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
                          mounted);
}

Result mountProcesses(int root, bool readOnlySettings) {
  const Setting settings[] = {{"source", privateSource}};
  sys::Descriptor mounted;
  const Result created =
      createFileSystem(Step::mountProc, "proc", "/proc", settings, harmless | MOUNT_ATTR_NOEXEC, mounted);
  if (!created.ok()) return created;
  const sys::Descriptor target(sys::openResolved(root, "/proc", O_PATH | O_DIRECTORY, inside));
  if (target.error() != 0) return failure(Step::mountProc, "/proc", target.error());
  if (const int error = sys::moveMount(mounted.get(), target.get()); error < 0) {
    return failure(Step::mountProc, "/proc", error);
  }
  for (const char* name : processSettings) {
    if (!readOnlySettings) break;
    if (const Result covered = coverReadOnly(mounted.get(), name); !covered.ok()) return covered;
  }
  return success();
}

Result makePath(int root, const char* path, bool isDirectory, const OwnFileSystems& own, sys::Descriptor& opened) {
  sys::Descriptor at(sys::openResolved(root, "/", O_PATH | O_DIRECTORY, inside));
  const char* from = path;
  while (*from == '/') ++from;
  while (*from != '\0') {
    Text<256> name;
    while (*from != '\0' && *from != '/') name.add(*from++);
    while (*from == '/') ++from;
    if (!name.fits()) return failure(Step::showPath, path, ENAMETOOLONG);
    if (equal(name.get(), ".") || equal(name.get(), "..")) return failure(Step::showPath, path, EINVAL);
    at.reset(openOrMake(at.get(), name.get(), isDirectory || *from != '\0', own));
    if (at.error() != 0) return failure(Step::showPath, path, at.error());
  }
  opened = static_cast<sys::Descriptor&&>(at);
  return opened.error() != 0 ? failure(Step::showPath, path, opened.error()) : success();
}

Result attachAt(int root, const char* path, const sys::Descriptor& mounted) {
  const sys::Descriptor target(sys::openResolved(root, path, O_PATH, inside));
  if (target.error() != 0) return failure(Step::mountPrivate, path, target.error());
  const int error = sys::moveMount(mounted.get(), target.get());
  return error < 0 ? failure(Step::mountPrivate, path, error) : success();
}

Result makeReadOnly(const char* path, int mount) {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  // What the host mounts later would come in writable.
  attributes.propagation = MS_PRIVATE;
  const int error = sys::changeMounts(mount, attributes);
  return error < 0 ? failure(Step::makeReadOnly, path, error) : success();
}

}  // namespace appc
