#include "objects.h"

#include <errno.h>

#include "guards.h"
#include "process.h"

namespace appc {
namespace {

bool isSame(const struct statx& status, const file::Object& object, uint64_t dev) {
  // The mode that the store gives (lib/store/writer.ts).
  const uint32_t mode = S_IFREG | (object.executable != 0 ? 0555U : 0444U);
  return status.stx_ino == object.ino && status.stx_size == object.size && status.stx_mode == mode &&
         inNanoseconds(status.stx_mtime) == object.mtimeNs && inNanoseconds(status.stx_ctime) == object.ctimeNs &&
         deviceNumber(status) == dev;
}

Result checkSome(const Plan& plan, int directory, uint32_t first, uint32_t last, ObjectPath& path) {
  const uint64_t dev = plan.header().objectsDev;
  for (uint32_t i = first; i < last; ++i) {
    const file::Object& object = plan.objects()[i];
    struct statx status;
    // From the directory on: the way to the store takes a fifth of the time of all else.
    const int error =
        sys::statAt(directory, path.set(object), AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, status);
    if (error < 0) return failure(Step::checkGuard, path.get(), isAbsent(error) ? 0 : error);
    if (!isSame(status, object, dev)) return failure(Step::checkGuard, path.get(), 0);
  }
  return success();
}

/** To start and await a process takes as long as some four hundred objects, on a machine that does nothing else. */
constexpr uint32_t worthHelper = 1500;
constexpr uint32_t maxHelpers = 3;

/** A process that looks at some of the objects. Where there can be none, or it does not come to its end, it did not. */
class Helper {
 public:
  void start(const Plan& plan, int directory, uint32_t first, uint32_t last) {
    first_ = first;
    last_ = last;
    process_ = sys::forkHelper();
    if (process_ != 0) return;
    ObjectPath path;
    sys::exit(checkSome(plan, directory, first, last, path).ok() ? 0 : 1);
  }
  /** Waits for it; whether it found all of them as they should be. */
  bool end() const {
    if (process_ < 0) return first_ == last_;
    int status = 0;
    int ended = 0;
    do ended = sys::wait(process_, status, __WALL);
    while (ended == -EINTR);
    return ended == process_ && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  uint32_t first() const { return first_; }
  uint32_t last() const { return last_; }

 private:
  int process_ = -1;
  uint32_t first_ = 0;
  uint32_t last_ = 0;
};

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
  const uint32_t count = plan.objects().count;
  const auto wanted = static_cast<uint32_t>(sys::processorCount());
  Helper helpers[maxHelpers];
  uint32_t end = count;
  const uint32_t sharers = count / worthHelper < wanted ? count / worthHelper : wanted;
  for (uint32_t i = 0; i + 1 < sharers && i < maxHelpers; ++i) {
    const uint32_t begin = end - count / sharers;
    helpers[i].start(plan, directory, begin, end);
    end = begin;
  }
  Result result = checkSome(plan, directory, 0, end, path);
  // All are awaited: a program is not to find children that it did not start.
  for (const Helper& helper : helpers) {
    const bool holds = helper.end();
    if (!holds && result.ok()) result = checkSome(plan, directory, helper.first(), helper.last(), path);
  }
  return result;
}

}  // namespace appc
