#include "mountinfo.h"

#include <errno.h>

#include "private-mounts.h"

namespace appc {
namespace {

const char* skipField(const char* at) {
  while (*at != '\0' && *at != ' ') ++at;
  return *at == ' ' ? at + 1 : at;
}

bool isOctal(char c) { return c >= '0' && c <= '7'; }

/** The kernel writes space, tab, newline and backslash as \NNN (fs/proc_namespace.c, mangle()). */
void addUnescaped(PathText& out, const char* field) {
  for (; *field != '\0' && *field != ' '; ++field) {
    if (field[0] == '\\' && isOctal(field[1]) && isOctal(field[2]) && isOctal(field[3])) {
      out.add(static_cast<char>((field[1] - '0') * 64 + (field[2] - '0') * 8 + (field[3] - '0')));
      field += 3;
    } else {
      out.add(*field);
    }
  }
}

char afterField(const char* field, const char* wanted) { return field[strlen(wanted)]; }

bool fieldIs(const char* field, const char* wanted) {
  if (!startsWith(field, wanted)) return false;
  const char next = afterField(field, wanted);
  return next == ' ' || next == '\0';
}

bool isOurSource(const char* field) {
  return fieldIs(field, overlaySource) || (startsWith(field, overlaySource) && afterField(field, overlaySource) == ':');
}

}  // namespace

bool parseMount(const char* line, Mount& mount) {
  const char* parent = skipField(line);
  const char* root = skipField(skipField(parent));
  const char* point = skipField(root);
  const char* separator = skipField(skipField(point));
  while (*separator != '\0' && !fieldIs(separator, "-")) separator = skipField(separator);
  if (*separator == '\0') return false;
  const char* type = skipField(separator);
  mount.id = parseDecimal(line);
  mount.parent = parseDecimal(parent);
  mount.point.clear();
  addUnescaped(mount.point, point);
  mount.ours = (fieldIs(type, "overlay") || fieldIs(type, "tmpfs")) && isOurSource(skipField(type));
  mount.isPrivate = fieldIs(skipField(type), privateSource);
  return mount.point.fits();
}

bool isVisible(const Mount& mount) {
  struct statx status;
  // A network file system whose server is away must not hold this up.
  constexpr int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
  const int error = sys::statAt(AT_FDCWD, mount.point.get(), flags, STATX_MNT_ID, status);
  // What may not be looked at may be there: the cautious answer.
  if (error < 0) return error != -ENOENT && error != -ENOTDIR;
  return status.stx_mnt_id == mount.id;
}

bool HostMounts::note(const Mount& mount) {
  if (!mount.ours) return true;
  if (count_ == sizeof ours_ / sizeof ours_[0]) return false;
  ours_[count_++] = mount.id;
  return true;
}

bool HostMounts::isOurs(uint64_t id) const {
  for (size_t i = 0; i < count_; ++i) {
    if (ours_[i] == id) return true;
  }
  return false;
}

bool HostMounts::has(const Mount& mount) const {
  // On our overlays lie only the host's own directories, put back by restoreHost(), and mounts carried over.
  return !mount.ours && !isOurs(mount.parent) && isVisible(mount);
}

Result MountTable::load() {
  fd_.reset(sys::open(AT_FDCWD, mountinfoPath, O_RDONLY));
  if (fd_.error() != 0) return failure(Step::readMounts, mountinfoPath, fd_.error());
  filled_ = 0;
  whole_ = false;
  if (const Result filled = fill(); !filled.ok()) return filled;
  whole_ = filled_ < sizeof buffer_;
  return success();
}

Result MountTable::fill() {
  while (filled_ < sizeof buffer_) {
    const long count = sys::read(fd_.get(), buffer_ + filled_, sizeof buffer_ - filled_);
    if (count < 0) return failure(Step::readMounts, mountinfoPath, static_cast<int>(count));
    if (count == 0) break;
    filled_ += static_cast<size_t>(count);
  }
  return success();
}

Result MountTable::readOn(size_t consumed) {
  if (consumed == 0 && filled_ == sizeof buffer_) return failure(Step::readMounts, mountinfoPath, EOVERFLOW);
  memmove(buffer_, buffer_ + consumed, filled_ - consumed);
  filled_ -= consumed;
  const size_t kept = filled_;
  const Result filled = fill();
  // A line without an end: the kernel writes none.
  if (filled.ok() && consumed == 0 && filled_ == kept) return failure(Step::readMounts, mountinfoPath, EIO);
  return filled;
}

namespace {

/** Notes the carried mounts of `overlay` at `point` as met; false when there is none. */
bool meetCarried(const Plan& plan, const file::Overlay& overlay, const char* point, bool (&met)[maxCarried]) {
  bool known = false;
  for (uint32_t i = 0; i < overlay.carriedCount; ++i) {
    if (equal(plan.text(plan.carried(overlay)[i]), point)) known = met[overlay.firstCarried + i] = true;
  }
  return known;
}

/** Null when all are met. */
const char* firstUnmet(const Plan& plan, const bool (&met)[maxCarried]) {
  for (const file::Overlay& overlay : plan.overlays()) {
    for (uint32_t i = 0; i < overlay.carriedCount; ++i) {
      if (!met[overlay.firstCarried + i]) return plan.text(plan.carried(overlay)[i]);
    }
  }
  return nullptr;
}

}  // namespace

Result checkCarried(const Plan& plan, MountTable& table) {
  HostMounts host;
  bool met[maxCarried] = {};
  const char* root = plan.text(plan.header().root);
  const size_t rootLength = root == nullptr ? 0 : strlen(root);
  Result result = success();
  const Result read = table.forEach([&](const Mount& mount) {
    if (!host.note(mount)) result = failure(Step::checkMounts, nullptr, EOVERFLOW);
    if (!result.ok() || (root != nullptr && !isStrictlyBelow(mount.point.get(), root))) return;
    const char* point = mount.point.get() + rootLength;
    for (const file::Overlay& overlay : plan.overlays()) {
      if (!isStrictlyBelow(point, plan.text(overlay.target)) || !host.has(mount)) continue;
      if (!meetCarried(plan, overlay, point, met)) result = failure(Step::checkMounts, plan.text(overlay.target), 0);
    }
  });
  if (!read.ok()) return read;
  if (!result.ok()) return result;
  const char* unmet = firstUnmet(plan, met);
  return unmet == nullptr ? success() : failure(Step::checkMounts, unmet, 0);
}

}  // namespace appc
