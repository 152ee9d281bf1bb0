#include "landlock.h"

#include <errno.h>
#include <linux/landlock.h>

#include "sys.h"

namespace appc {
namespace {

// Newer than the headers of GCC 12's contemporaries; the values are the kernel's and fixed (linux/landlock.h of 6.12).
constexpr uint64_t accessRefer = 1ULL << 13;
constexpr uint64_t accessTruncate = 1ULL << 14;
constexpr uint64_t scopeAbstractSocket = 1ULL << 0;
constexpr uint64_t scopeSignal = 1ULL << 1;

/** landlock_ruleset_attr as of ABI 6; older kernels take its beginning alone. */
struct Ruleset {
  uint64_t files = 0;
  uint64_t network = 0;
  uint64_t scoped = 0;
};

constexpr uint64_t writing = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                             LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                             LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                             LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
/** What a file, as opposed to a directory, can be given. */
constexpr uint64_t writingFile = LANDLOCK_ACCESS_FS_WRITE_FILE | accessTruncate;

Result allow(int ruleset, int directory, uint64_t access) {
  struct statx status;
  int error = sys::statAt(directory, "", AT_EMPTY_PATH, STATX_TYPE, status);
  if (error < 0) return failure(Step::restrictFiles, nullptr, error);
  struct landlock_path_beneath_attr rule = {};
  rule.allowed_access = S_ISDIR(status.stx_mode) ? access : access & writingFile;
  rule.parent_fd = directory;
  error = static_cast<int>(sys::call(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, sys::word(&rule), 0));
  return error < 0 ? failure(Step::restrictFiles, nullptr, error) : success();
}

}  // namespace

long landlockVersion() { return sys::call(SYS_landlock_create_ruleset, 0, 0, LANDLOCK_CREATE_RULESET_VERSION); }

Result restrictByLandlock(const int* writable, size_t count, bool anywhere, bool anybody) {
  const long abi = landlockVersion();
  if (abi < 0) return failure(Step::restrictFiles, nullptr, static_cast<int>(abi));
  Ruleset wanted;
  // Without ABI 2 the kernel refuses all links and renames from directory to directory, with it those across a rule.
  if (!anywhere) wanted.files = writing | (abi >= 2 ? accessRefer : 0) | (abi >= 3 ? accessTruncate : 0);
  if (abi >= 6) wanted.scoped = scopeAbstractSocket | (anybody ? 0 : scopeSignal);
  // An empty set is refused (ENOMSG): there is nothing to restrict.
  if (wanted.files == 0 && wanted.scoped == 0) return success();
  const size_t size = abi >= 6 ? sizeof wanted : abi >= 4 ? offsetof(Ruleset, scoped) : offsetof(Ruleset, network);
  const sys::Descriptor ruleset(
      static_cast<int>(sys::call(SYS_landlock_create_ruleset, sys::word(&wanted), sys::word(size), 0)));
  if (ruleset.error() != 0) return failure(Step::restrictFiles, nullptr, ruleset.error());
  for (size_t i = 0; !anywhere && i < count; ++i) {
    if (const Result allowed = allow(ruleset.get(), writable[i], wanted.files); !allowed.ok()) return allowed;
  }
  const int error = static_cast<int>(sys::call(SYS_landlock_restrict_self, ruleset.get(), 0));
  return error < 0 ? failure(Step::restrictFiles, nullptr, error) : success();
}

}  // namespace appc
