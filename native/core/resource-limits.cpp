#include "resource-limits.h"

#include <errno.h>
#include <linux/magic.h>

#include "text.h"

namespace appc {
namespace {

constexpr const char* hierarchies[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

/** The line `0::/PATH` of /proc/self/cgroup; below a hybrid hierarchy there are others before it. */
Result findOwnGroup(PathText& path) {
  constexpr const char* file = "/proc/self/cgroup";
  const sys::Descriptor open(sys::open(AT_FDCWD, file, O_RDONLY));
  if (open.error() != 0) return failure(Step::makeCgroup, file, open.error());
  char buffer[8192];
  const long count = sys::read(open.get(), buffer, sizeof buffer - 1);
  if (count < 0) return failure(Step::makeCgroup, file, static_cast<int>(count));
  buffer[count] = '\0';
  for (const char* line = buffer; *line != '\0';) {
    const bool own = startsWith(line, "0::/");
    if (own) line += 3;
    for (; *line != '\0' && *line != '\n'; ++line) {
      if (own) path.add(*line);
    }
    if (own) return success();
    if (*line == '\n') ++line;
  }
  return failure(Step::makeCgroup, "cgroup v2", ENOENT);
}

Result openOwnGroup(sys::Descriptor& group) {
  PathText own;
  if (const Result found = findOwnGroup(own); !found.ok()) return found;
  for (const char* hierarchy : hierarchies) {
    const sys::Descriptor top(sys::open(AT_FDCWD, hierarchy, O_PATH | O_DIRECTORY));
    struct statfs status;
    if (top.error() != 0 || sys::statfs(top.get(), status) < 0 || status.f_type != CGROUP2_SUPER_MAGIC) continue;
    group.reset(sys::openResolved(top.get(), own.get(), O_RDONLY | O_DIRECTORY,
                                  RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV));
    return group.error() != 0 ? failure(Step::makeCgroup, hierarchy, group.error()) : success();
  }
  return failure(Step::makeCgroup, "cgroup v2", ENOENT);
}

Result makeGroup(int parent, const char* name, bool isNew, sys::Descriptor& group) {
  const int made = static_cast<int>(sys::call(SYS_mkdirat, parent, sys::word(name), 0755));
  if (made < 0 && (isNew || made != -EEXIST)) return failure(Step::makeCgroup, "a new group", made);
  group.reset(sys::openResolved(parent, name, O_RDONLY | O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS));
  return group.error() != 0 ? failure(Step::makeCgroup, name, group.error()) : success();
}

Result writeLimit(int group, const char* file, const char* text) {
  const sys::Descriptor open(sys::open(group, file, O_WRONLY));
  long error = -open.error();
  if (error == 0) error = sys::write(open.get(), text, strlen(text));
  return error < 0 ? failure(Step::makeCgroup, file, static_cast<int>(error)) : success();
}

/** Where launchers go. It cannot be removed by who is in it; so there is one alone, however many come. */
constexpr const char* launchers = "appc-launchers";

struct Controller {
  const char* name;
  const char* file;
  const char* enable;
  bool wanted;
};

/** What is in the group itself: none, or the error EBUSY. The root group, which alone has no type, may have both. */
Result requireEmpty(int group) {
  const sys::Descriptor list(sys::open(group, "cgroup.procs", O_RDONLY));
  if (list.error() != 0) return failure(Step::makeCgroup, "cgroup.procs", list.error());
  char first;
  const long count = sys::read(list.get(), &first, 1);
  return count == 0 ? success()
                    : failure(Step::makeCgroup, "cgroup.procs", count < 0 ? static_cast<int>(count) : EBUSY);
}

/**
 * Processes are in a group that has none below it which are limited, or else in those below alone (cgroups(7), "no
 * internal processes"): this one goes below. It suffices where it was alone there, as the first of a systemd unit is.
 */
Result leave(int parent) {
  const sys::Descriptor type(sys::open(parent, "cgroup.type", O_PATH));
  if (type.error() == ENOENT) return success();
  sys::Descriptor below;
  Result left = makeGroup(parent, launchers, false, below);
  if (left.ok()) left = writeLimit(below.get(), "cgroup.procs", "0");
  if (!left.ok()) return left;
  left = requireEmpty(parent);
  if (left.ok()) return left;
  if (const Result back = writeLimit(parent, "cgroup.procs", "0"); !back.ok()) return back;
  // Others may be in it.
  sys::call(SYS_unlinkat, parent, sys::word(launchers), AT_REMOVEDIR);
  return left;
}

/** Where the group's children have this controller there is its file. Else it is enabled for them. */
Result enable(int parent, int group, const Controller& controller) {
  const char* file = controller.file;
  const sys::Descriptor there(sys::open(group, file, O_PATH));
  if (there.error() == 0) return success();
  if (there.error() != ENOENT) return failure(Step::makeCgroup, file, there.error());
  const Result left = leave(parent);
  if (!left.ok()) return left;
  const Result enabled = writeLimit(parent, "cgroup.subtree_control", controller.enable);
  // The kernel has no such controller, or it belongs to cgroup v1, or was not handed down to this group.
  return enabled.error == ENOENT ? failure(enabled.step, controller.name, ENOENT) : enabled;
}

Result writeNumber(int group, const char* file, uint64_t value) {
  Text<32> text;
  return value == 0 ? success() : writeLimit(group, file, text.addDecimal(value).get());
}

Result writeLimits(int group, const GroupLimits& limits) {
  Result result = writeNumber(group, "memory.max", limits.memory);
  // Else what is over the limit goes to the swap space.
  if (result.ok() && limits.memory != 0) {
    result = writeLimit(group, "memory.swap.max", "0");
    if (result.error == ENOENT) result = success();
  }
  if (result.ok()) result = writeNumber(group, "pids.max", limits.processes);
  if (result.ok() && limits.processors != 0) {
    constexpr uint64_t period = 100000;
    Text<64> text;
    text.addDecimal(limits.processors * period / 1000).add(' ').addDecimal(period);
    result = writeLimit(group, "cpu.max", text.get());
  }
  return result;
}

}  // namespace

Result setProcessLimits(const Confinement& confinement) {
  for (size_t i = 0; i < confinement.limitCount; ++i) {
    const ProcessLimit& limit = confinement.limits[i];
    const uint64_t both[2] = {limit.value, limit.value};
    const int error = static_cast<int>(sys::call(SYS_prlimit64, 0, limit.resource, sys::word(both), 0));
    if (error < 0) return failure(Step::setLimit, limit.name, error);
  }
  return success();
}

Result copyProcessLimits(int process, Confinement& confinement) {
  constexpr int kinds = 16;  // RLIM_NLIMITS, the same since Linux 2.6.25
  static_assert(kinds <= maxLimits);
  for (int resource = 0; resource < kinds; ++resource) {
    uint64_t its[2];
    uint64_t own[2];
    long error = sys::call(SYS_prlimit64, process, resource, 0, sys::word(its));
    if (error == 0) error = sys::call(SYS_prlimit64, 0, resource, 0, sys::word(own));
    if (error != 0) return failure(Step::setLimit, nullptr, static_cast<int>(error));
    if (its[1] < own[1]) confinement.limits[confinement.limitCount++] = {nullptr, resource, its[1]};
  }
  return success();
}

Result ControlGroup::open() {
  if (const Result opened = openOwnGroup(parent_); !opened.ok()) return opened;
  const sys::Descriptor group = static_cast<sys::Descriptor&&>(parent_);
  parent_.reset(sys::openTree(group.get(), OPEN_TREE_CLONE | AT_RECURSIVE));
  return parent_.error() != 0 ? failure(Step::makeCgroup, "cgroup v2", parent_.error()) : success();
}

Result ControlGroup::make(const GroupLimits& limits, int identity) {
  if (parent_.get() < 0) {
    if (const Result opened = openOwnGroup(parent_); !opened.ok()) return opened;
  }
  name_.add("appc-").addDecimal(static_cast<uint64_t>(identity));
  Result result = makeGroup(parent_.get(), name_.get(), true, group_);
  if (!result.ok()) {
    name_.clear();
    return result;
  }
  const Controller controllers[] = {{"memory", "memory.max", "+memory", limits.memory != 0},
                                    {"pids", "pids.max", "+pids", limits.processes != 0},
                                    {"cpu", "cpu.max", "+cpu", limits.processors != 0}};
  for (const Controller& controller : controllers) {
    if (result.ok() && controller.wanted) result = enable(parent_.get(), group_.get(), controller);
  }
  if (result.ok()) result = writeLimits(group_.get(), limits);
  if (!result.ok()) remove();
  return result;
}

Result ControlGroup::join() const { return writeLimit(group_.get(), "cgroup.procs", "0"); }

void ControlGroup::kill() const {
  const Result killed = writeLimit(group_.get(), "cgroup.kill", "1");
  // Linux 5.14. Before it, the end of the PID namespace does the same.
  static_cast<void>(killed);
}

int ControlGroup::remove() {
  if (name_.length() == 0) return 0;
  const int error = static_cast<int>(sys::call(SYS_unlinkat, parent_.get(), sys::word(name_.get()), AT_REMOVEDIR));
  if (error == 0) name_.clear();
  return error;
}

}  // namespace appc
