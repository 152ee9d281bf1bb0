#include "launch.h"

#include <errno.h>
#include <linux/auxvec.h>

#include <new>

#include "cold.h"
#include "environment.h"
#include "guards.h"
#include "memory.h"
#include "mountinfo.h"
#include "mounts.h"
#include "namespaces.h"
#include "options.h"
#include "plan.h"
#include "replanned.h"
#include "report.h"
#include "request.h"
#include "root.h"
#include "signals.h"
#include "sys.h"

namespace appc {
namespace {

/** Everything of a launch; one for the process. Never destroyed: it ends in exec, which closes what is open. */
struct Launch {
  const char* const* environment;
  uint32_t uid;
  uint32_t gid;
  /** Empty when it cannot be told. */
  PathText workingDirectory;
  Options options;
  Replanned replanned;
  Request request;
  MountTable mounts;
  Namespaces namespaces;
  Plan plan;
  RootTree root;
  Overlays overlays;
};

/**
 * Whether the kernel gave this process rights that its caller does not have: the executable is setuid or has
 * capabilities.
 */
bool hasMoreRights(const char* const* environment) {
  while (*environment != nullptr) ++environment;
  // getauxval(3): pairs after the environment.
  const auto* pair = reinterpret_cast<const unsigned long*>(environment + 1);
  while (pair[0] != AT_NULL && pair[0] != AT_SECURE) pair += 2;
  return pair[0] == AT_SECURE && pair[1] != 0;
}

Result loadPlan(const Launch& launch, Plan& plan) {
  const char* path = launch.request.planPath.get();
  // Not blocking: a FIFO in this place must not hold the launch up.
  const sys::Descriptor file(sys::open(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (file.error() != 0) return failure(Step::readPlan, path, file.error());
  struct statx status;
  if (const int error = sys::statAt(file.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, status); error < 0) {
    return failure(Step::readPlan, path, error);
  }
  // A plan says what is mounted and run: root runs only what root wrote, and so everybody.
  if (!S_ISREG(status.stx_mode) || status.stx_uid != launch.uid || (status.stx_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return failure(Step::checkOwner, path, 0);
  }
  if (status.stx_size == 0 || status.stx_size > maxPlanSize) return failure(Step::decodePlan, path, 0);
  // Read, not mapped: a mapped file that is cut short would end the process with SIGBUS, and bytes that change after
  // they were checked were checked in vain.
  const auto size = static_cast<size_t>(status.stx_size);
  auto* bytes = static_cast<char*>(sys::allocatePages(size));
  if (bytes == nullptr) return failure(Step::readPlan, path, ENOMEM);
  size_t filled = 0;
  while (filled < size) {
    const long count = sys::read(file.get(), bytes + filled, size - filled);
    if (count < 0) return failure(Step::readPlan, path, static_cast<int>(count));
    if (count == 0) return failure(Step::decodePlan, path, 0);
    filled += static_cast<size_t>(count);
  }
  return Plan::decode(bytes, size, plan);
}

Result checkLoaderEnvironment(const Launch& launch) {
  const auto values = launch.plan.loaderEnvironment();
  for (uint32_t i = 0; i < values.count; ++i) {
    const char* planned = launch.plan.text(values[i]);
    const char* value = findFilledVariable(launch.environment, loaderVariables[i]);
    const bool same = planned == nullptr || value == nullptr ? planned == value : equal(planned, value);
    if (!same) return failure(Step::checkGuard, loaderVariables[i], 0);
  }
  return success();
}

/** Loads the plan and checks that it holds for the host as it is now. */
Result findPlan(Launch& launch) {
  Result result = loadPlan(launch, launch.plan);
  if (result.ok() && !answers(launch.plan, launch.request)) {
    result = failure(Step::checkHost, "the request", 0);
  }
  if (result.ok()) result = checkHost(launch.plan, launch.uid, launch.gid);
  if (result.ok()) result = checkLoaderEnvironment(launch);
  if (result.ok()) result = checkGuards(launch.plan);
  if (result.ok()) result = checkCarried(launch.plan, launch.mounts);
  return result;
}

const file::Program& chooseProgram(const Launch& launch) {
  const auto programs = launch.plan.programs();
  for (const file::Program& program : programs) {
    if (launch.options.entry == nullptr || equal(launch.options.entry, launch.plan.text(program.name))) return program;
  }
  if (launch.options.entry == nullptr) {
    fail(Exit::notFound, "nothing to run in the container", launch.options.container.get(), nullptr, nullptr);
  }
  fail(Exit::notFound, "no such program in the container:", launch.options.entry, nullptr,
       "appc list shows the programs of each container");
}

/** Mounts everything, and looks at the shared files once more as programs will see them. */
Result setUp(Launch& launch) {
  const Plan& plan = launch.plan;
  const char* root = plan.text(plan.header().root);
  if (root == nullptr && plan.overlays().count == 0) return success();
  if (const Result entered = enterNamespaces(launch.namespaces); !entered.ok()) return entered;
  sys::Descriptor machineRoot;
  int viewRoot = -1;
  if (root == nullptr) {
    machineRoot.reset(sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
    if (machineRoot.error() != 0) return failure(Step::openDirectory, "/", machineRoot.error());
    viewRoot = machineRoot.get();
  } else {
    if (const Result mounted = launch.root.mount(root); !mounted.ok()) return mounted;
    viewRoot = launch.root.get();
  }
  Result result = launch.overlays.open(plan, viewRoot);
  if (result.ok()) result = launch.overlays.mount(plan, viewRoot, launch.namespaces);
  if (result.ok()) result = checkThroughView(plan, viewRoot);
  if (result.ok() && root != nullptr) result = launch.root.bind(plan);
  if (!result.ok()) return result;
  return root == nullptr ? success() : launch.root.enter();
}

/** What a new plan can mend: the host is not as it was when the guards were looked at. */
bool isStale(const Result& result) {
  const bool gone = result.error == ENOENT || result.error == ENOTDIR || result.error == ELOOP;
  return result.step == Step::checkView || (result.step == Step::openDirectory && gone);
}

bool isCovered(const Plan& plan, const char* path) {
  for (const file::Overlay& overlay : plan.overlays()) {
    if (isWithin(path, plan.text(overlay.target))) return true;
  }
  return false;
}

/**
 * The working directory still is the directory below the mounts: names looked up from it would not be the mixed ones. A
 * tree need not have it: then the program starts in /, where the tree was entered. Elsewhere it was reachable a moment
 * ago; if it was removed since, the program starts in a removed directory, as it would have.
 */
Result lookUpWorkingDirectory(const Launch& launch) {
  const char* directory = launch.workingDirectory.get();
  const int error = *directory == '/' ? sys::chdir(directory) : 0;
  return error < 0 && !isAbsent(error) ? failure(Step::openDirectory, directory, error) : success();
}

/** Whether the program is what lies at `path`. Overlay shows a device number of its own. */
bool isProgram(const Launch& launch, const char* path) {
  struct statx program;
  struct statx found;
  return sys::statAt(launch.request.program.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, program) == 0 &&
         sys::statAt(AT_FDCWD, path, 0, STATX_BASIC_STATS, found) == 0 && found.stx_ino == program.stx_ino &&
         found.stx_size == program.stx_size && found.stx_mtime.tv_sec == program.stx_mtime.tv_sec &&
         found.stx_mtime.tv_nsec == program.stx_mtime.tv_nsec;
}

/**
 * The path to execute, which a script gets as an argument: as it was typed, as without appc. In a tree that may lead
 * elsewhere, though: the tree has no such working directory, or lacks or has files of its own where a link leads to, or
 * a directory of the machine's lies over its own. Then it is the program's real path, or there is none.
 */
const char* programPath(const Launch& launch) {
  const char* typed = launch.options.program;
  const char* root = launch.request.root.get();
  if (*root == '\0' || isProgram(launch, typed)) return typed;
  const char* real = launch.request.subject.get();
  const bool inTree = isStrictlyBelow(real, root);
  if (inTree && root[1] != '\0') real += launch.request.root.length();
  // An overlay may replace the program itself, where it is a library too (libc.so.6, ld.so).
  if (isProgram(launch, real) || (inTree && isCovered(launch.plan, real))) return real;
  Text<8192> cause;
  cause.add("the tree at ").addEscaped(root).add(" does not show ").addEscaped(real);
  fail(Exit::notFound, "no such program:", typed, cause.get(),
       "move it into the tree, or below /home or /tmp, which a tree that has these shares with this machine");
}

/**
 * What a shell would call it: by its bare name where every PATH has it; elsewhere by its path, without which some do
 * not find what lies beside them (PostgreSQL's initdb its postgres), or themselves again (sshd).
 */
const char* calledAs(const file::Program& entry, const Plan& plan) {
  const char* path = plan.text(entry.path);
  const char* name = lastComponent(path);
  static constexpr const char* onPath[] = {"/usr/bin/", "/bin/", "/usr/local/bin/"};
  for (const char* directory : onPath) {
    if (startsWith(path, directory) && path + strlen(directory) == name) return plan.text(entry.name);
  }
  return path;
}

[[noreturn]] void execute(const Launch& launch, const char* path, const char* name) {
  const Plan& plan = launch.plan;
  Environment environment(launch.environment, plan.environment().count);
  ignoreAgain(launch.replanned.ignoredSignals);
  environment.unset(replannedVariable);
  for (const file::String& variable : plan.environment()) {
    const char* text = plan.text(variable);
    if (memchr(text, '=', variable.length) != nullptr) {
      environment.set(text);
    } else {
      environment.unset(text);
    }
  }
  size_t count = 0;
  while (launch.options.arguments[count] != nullptr) ++count;
  const char** argv = allocatePointers(count + 2);
  argv[0] = name;
  memcpy(argv + 1, launch.options.arguments, count * sizeof *argv);

  // CVE-2024-21626: no descriptor of ours may reach the program; each was opened close-on-exec. Those of the caller are
  // the program's (`appc-run NAME <(command)`, sockets of a service manager, a jobserver), as without appc.
  const int error = sys::execve(path, argv, environment.get());
  const bool missing = error == -ENOENT || error == -ENOTDIR;
  struct statx status;
  if (missing && sys::statAt(AT_FDCWD, path, 0, STATX_TYPE, status) == 0) {
    fail(Exit::notExecutable, "cannot execute", path, "the interpreter that it names does not exist",
         "look at its first line, or for a binary at the interpreter that readelf -l shows");
  }
  fail(missing ? Exit::notFound : Exit::notExecutable, failure(Step::execute, path, error));
}

}  // namespace

void launch(size_t argc, const char* const* argv, const char* const* environment) {
  if (argc == 0) fail(Exit::failed, "started without a name", nullptr, nullptr, nullptr);
  if (hasMoreRights(environment)) {
    fail(Exit::failed, "must not be setuid, nor have file capabilities", nullptr, nullptr,
         "chmod u-s,g-s and setcap -r it: unprivileged users need neither");
  }
  alignas(Launch) static char storage[sizeof(Launch)];
  Launch& launch = *new (storage) Launch;
  launch.environment = environment;
  launch.uid = sys::userId();
  launch.gid = sys::groupId();
  parseOptions(argv, launch.options);
  launch.replanned = findReplanned(environment);
  char workingDirectory[4096];
  const long length = sys::getcwd(workingDirectory, sizeof workingDirectory);
  if (length > 0) launch.workingDirectory.add(workingDirectory);
  // One that was removed, or has too long a path, is the caller's choice; else names looked up from it would show the
  // host's files.
  if (length < 0 && !isAbsent(static_cast<int>(length))) {
    fail(Exit::failed, failure(Step::openDirectory, ".", static_cast<int>(length)));
  }

  bool restored = false;
  Result result = launch.mounts.load();
  if (result.ok()) result = restoreHost(launch.mounts, launch.namespaces, restored);
  if (result.ok() && restored) result = launch.mounts.load();
  if (result.ok() && restored) result = lookUpWorkingDirectory(launch);
  if (!result.ok()) fail(Exit::failed, result);

  resolveRequest(launch.options, environment, launch.workingDirectory.get(), launch.uid, launch.request);
  {
    const sys::Descriptor lock(launch.replanned.lock);
    result = findPlan(launch);
  }
  if (!result.ok()) goCold(launch.options, launch.request, argv, environment, result);

  const file::Program* entry = launch.options.program == nullptr ? &chooseProgram(launch) : nullptr;
  result = setUp(launch);
  if (!result.ok()) {
    launch.overlays.remove();
    launch.root.remove();
    if (isStale(result)) goCold(launch.options, launch.request, argv, environment, result);
    fail(Exit::failed, result);
  }
  const bool inTree = launch.plan.text(launch.plan.header().root) != nullptr;
  if (inTree || isCovered(launch.plan, launch.workingDirectory.get())) result = lookUpWorkingDirectory(launch);
  if (!result.ok()) fail(Exit::failed, result);
  if (entry == nullptr) execute(launch, programPath(launch), launch.options.program);
  execute(launch, launch.plan.text(entry->path), calledAs(*entry, launch.plan));
}

}  // namespace appc
