#include "guards.h"

#include <errno.h>

#include "sys.h"
#include "text.h"

namespace appc {
namespace {

constexpr int64_t nanoseconds = 1000000000;

bool isSame(const struct statx& status, const file::Guard& guard) {
  return status.stx_ino == guard.ino && status.stx_size == guard.size && status.stx_mode == guard.mode &&
         inNanoseconds(status.stx_mtime) == guard.mtimeNs && inNanoseconds(status.stx_ctime) == guard.ctimeNs &&
         deviceNumber(status) == guard.dev;
}

Result checkIdentity(const Plan& plan, const file::Guard& guard) {
  const char* path = plan.text(guard.path);
  struct statx status;
  const int error = sys::statAt(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, status);
  if (error < 0 && !isAbsent(error)) return failure(Step::checkGuard, path, error);
  return error == 0 && isSame(status, guard) ? success() : failure(Step::checkGuard, path, 0);
}

Result checkAbsent(const char* path) {
  struct statx status;
  const int error = sys::statAt(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, status);
  if (error < 0 && !isAbsent(error)) return failure(Step::checkGuard, path, error);
  return error < 0 ? success() : failure(Step::checkGuard, path, 0);
}

/** Names that come into a directory or are replaced there change its times (lib/plan/names.ts). */
bool isUnchanged(const char* directory, const file::Guard& guard) {
  struct statx status;
  return sys::statAt(AT_FDCWD, directory, 0, STATX_BASIC_STATS, status) == 0 && status.stx_ino == guard.ino &&
         deviceNumber(status) == guard.dev && inNanoseconds(status.stx_mtime) == guard.mtimeNs &&
         inNanoseconds(status.stx_ctime) == guard.ctimeNs;
}

Result checkLink(const char* path, const char* text) {
  char found[4096];
  const long length = sys::readlink(AT_FDCWD, path, found, sizeof found - 1);
  if (length < 0)
    return failure(Step::checkGuard, path, isAbsent(static_cast<int>(length)) ? 0 : static_cast<int>(length));
  found[length] = '\0';
  return equal(found, text) ? success() : failure(Step::checkGuard, path, 0);
}

Result checkNames(const Plan& plan, const file::Guard& guard) {
  const char* directory = plan.text(guard.path);
  if (isUnchanged(directory, guard)) return success();
  for (GuardedNames names(plan, guard); names.next();) {
    PathText path;
    path.add(directory).add('/').add(names.name());
    const char* text = names.link();
    // Nothing is ever at a path that is too long.
    Result result = text == nullptr ? success() : failure(Step::checkGuard, directory, 0);
    if (path.fits()) result = text == nullptr ? checkAbsent(path.get()) : checkLink(path.get(), text);
    if (!result.ok()) return failure(Step::checkGuard, directory, result.error);
  }
  return success();
}

/** Opened, not stat'ed by name: below --root an absolute symlink on the way must stay inside the tree. */
int lookInTree(int viewRoot, const char* path, struct statx& status) {
  const sys::Descriptor file(
      sys::openResolved(viewRoot, path, O_PATH | O_NOFOLLOW, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS));
  return file.get() < 0 ? file.get() : sys::statAt(file.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, status);
}

}  // namespace

bool isAbsent(int error) {
  return error == -ENOENT || error == -ENOTDIR || error == -EACCES || error == -ELOOP || error == -ENAMETOOLONG;
}

uint64_t deviceNumber(const struct statx& status) {
  const uint64_t major = status.stx_dev_major;
  const uint64_t minor = status.stx_dev_minor;
  return ((major & 0xfffff000) << 32) | ((major & 0xfff) << 8) | ((minor & 0xffffff00) << 12) | (minor & 0xff);
}

int64_t inNanoseconds(const struct statx_timestamp& time) { return time.tv_sec * nanoseconds + time.tv_nsec; }

Result checkHost(const Plan& plan, uint32_t uid, uint32_t gid, uint32_t cpuLevel) {
  const file::Header& header = plan.header();
  if (header.uid != uid || header.gid != gid) return failure(Step::checkHost, "the user or group id", 0);
  struct utsname kernel;
  if (const int error = sys::uname(kernel); error < 0) return failure(Step::checkHost, "uname", error);
  if (!equal(kernel.release, plan.text(header.kernelRelease)))
    return failure(Step::checkHost, "the kernel's release", 0);
  if (header.cpuLevel != cpuLevel) return failure(Step::checkHost, "the processor's level", 0);
  return success();
}

Result checkGuards(const Plan& plan) {
  for (const file::Guard& guard : plan.guards()) {
    Result result = success();
    switch (guard.kind) {
      case file::GuardKind::identity:
        result = checkIdentity(plan, guard);
        break;
      case file::GuardKind::absent:
        result = checkAbsent(plan.text(guard.path));
        break;
      case file::GuardKind::names:
        result = checkNames(plan, guard);
        break;
    }
    if (!result.ok()) return result;
  }
  return success();
}

Result checkLayers(const Plan& plan) {
  for (const file::Guard& guard : plan.guards()) {
    if (guard.kind != file::GuardKind::identity) continue;
    for (const file::Overlay& overlay : plan.overlays()) {
      const char* layer = plan.text(overlay.layer);
      if (!equal(plan.text(guard.path), layer)) continue;
      const Result result = checkIdentity(plan, guard);
      if (!result.ok()) return failure(Step::checkView, layer, result.error);
    }
  }
  return success();
}

Result checkThroughView(const Plan& plan, int viewRoot) {
  for (const file::Guard& guard : plan.guards()) {
    const char* path = plan.text(guard.seenAs);
    if (path == nullptr) continue;
    struct statx status;
    const int error = viewRoot == AT_FDCWD ? sys::statAt(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, status)
                                           : lookInTree(viewRoot, path, status);
    if (guard.kind == file::GuardKind::absent) {
      if (!isAbsent(error)) return failure(Step::checkView, path, 0);
      continue;
    }
    if (error != 0) return failure(Step::checkView, path, error);
    // Overlay shows a device number of its own.
    const bool holds = status.stx_ino == guard.ino && status.stx_size == guard.size &&
                       inNanoseconds(status.stx_mtime) == guard.mtimeNs;
    if (!holds) return failure(Step::checkView, path, 0);
  }
  return success();
}

}  // namespace appc
