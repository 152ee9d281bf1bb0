#include "guards.h"

#include <errno.h>

#include "cpu.h"
#include "sys.h"
#include "text.h"

namespace appc {
namespace {

constexpr int64_t nanoseconds = 1000000000;

int64_t inNanoseconds(const struct statx_timestamp& time) { return time.tv_sec * nanoseconds + time.tv_nsec; }

bool isSame(const struct statx& status, const file::Guard& guard) {
  return status.stx_ino == guard.ino && status.stx_size == guard.size && status.stx_mode == guard.mode &&
         inNanoseconds(status.stx_mtime) == guard.mtimeNs && inNanoseconds(status.stx_ctime) == guard.ctimeNs &&
         deviceNumber(status) == guard.dev;
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

Result checkHost(const Plan& plan, uint32_t uid, uint32_t gid) {
  const file::Header& header = plan.header();
  if (header.uid != uid || header.gid != gid) return failure(Step::checkHost, "the user or group id", 0);
  struct utsname kernel;
  if (const int error = sys::uname(kernel); error < 0) return failure(Step::checkHost, "uname", error);
  if (!equal(kernel.release, plan.text(header.kernelRelease)))
    return failure(Step::checkHost, "the kernel's release", 0);
  if (header.cpuLevel != cpuLevel()) return failure(Step::checkHost, "the processor's level", 0);
  return success();
}

Result checkGuards(const Plan& plan) {
  for (const file::Guard& guard : plan.guards()) {
    const char* path = plan.text(guard.path);
    struct statx status;
    const int error = sys::statAt(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, status);
    const bool absent = isAbsent(error);
    if (error < 0 && !absent) return failure(Step::checkGuard, path, error);
    const bool holds = guard.kind == file::GuardKind::absent ? absent : !absent && isSame(status, guard);
    if (!holds) return failure(Step::checkGuard, path, 0);
  }
  return success();
}

Result checkThroughView(const Plan& plan, int viewRoot) {
  for (const file::Guard& guard : plan.guards()) {
    const char* path = plan.text(guard.seenAs);
    if (path == nullptr) continue;
    // Opened, not stat'ed by name: below --root an absolute symlink on the way must stay inside the tree.
    const sys::Descriptor file(
        sys::openResolved(viewRoot, path, O_PATH | O_NOFOLLOW, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS));
    if (guard.kind == file::GuardKind::absent) {
      if (!isAbsent(-file.error())) return failure(Step::checkView, path, 0);
      continue;
    }
    if (file.error() != 0) return failure(Step::checkView, path, file.error());
    struct statx status;
    const int error = sys::statAt(file.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, status);
    if (error < 0) return failure(Step::checkView, path, error);
    // Overlay shows a device number of its own.
    const bool holds = status.stx_ino == guard.ino && status.stx_size == guard.size &&
                       inNanoseconds(status.stx_mtime) == guard.mtimeNs;
    if (!holds) return failure(Step::checkView, path, 0);
  }
  return success();
}

}  // namespace appc
