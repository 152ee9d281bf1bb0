#include "objects.h"

#include <errno.h>

#include "guards.h"
#include "sys.h"

namespace appc {
namespace {

/** Not the device: on overlayfs files have those of their layers, and other ones than their directory. */
bool isSame(const struct statx& status, const file::Object& object) {
  // The mode that the store gives (lib/store/writer.ts).
  const uint32_t mode = S_IFREG | (object.executable != 0 ? 0555U : 0444U);
  return status.stx_ino == object.ino && status.stx_size == object.size && status.stx_mode == mode &&
         inNanoseconds(status.stx_mtime) == object.mtimeNs && inNanoseconds(status.stx_ctime) == object.ctimeNs;
}

}  // namespace

const char* ObjectPath::set(const file::Object& object) {
  constexpr const char* digits = "0123456789abcdef";
  char* at = text_;
  for (const uint8_t byte : object.sha256) {
    if (at == text_ + 2) *at++ = '/';
    *at++ = digits[byte >> 4];
    *at++ = digits[byte & 0xf];
  }
  if (object.executable != 0) {
    *at++ = '.';
    *at++ = 'x';
  }
  *at = '\0';
  return text_;
}

Result checkObjects(const Plan& plan, int directory, ObjectPath& path) {
  if (plan.objects().count == 0) return success();
  struct statx place;
  const int unseen = sys::statAt(directory, "", AT_EMPTY_PATH, STATX_INO, place);
  if (unseen < 0 || deviceNumber(place) != plan.header().objectsDev) return failure(Step::checkGuard, "objects", 0);
  for (const file::Object& object : plan.objects()) {
    struct statx status;
    // From the directory on: the way to the store takes a fifth of the time of all else.
    const int error =
        sys::statAt(directory, path.set(object), AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, status);
    if (error < 0) return failure(Step::checkGuard, path.get(), isAbsent(error) ? 0 : error);
    if (!isSame(status, object)) return failure(Step::checkGuard, path.get(), 0);
  }
  return success();
}

}  // namespace appc
