#include "launch.h"

#include <errno.h>
#include <linux/auxvec.h>
#include <linux/limits.h>

#include <initializer_list>
#include <new>

#include "cold.h"
#include "confined.h"
#include "cpu.h"
#include "enter.h"
#include "environment.h"
#include "guards.h"
#include "info.h"
#include "memory.h"
#include "mountinfo.h"
#include "program.h"
#include "report.h"
#include "signals.h"
#include "signature.h"
#include "state.h"
#include "supervise.h"

namespace appc {
namespace {

/** Made when it is needed, which is seldom: its pages are many. */
MountTable& mountTable(Launch& launch) {
  if (launch.mounts == nullptr) launch.mounts = new (allocate(sizeof(MountTable))) MountTable;
  return *launch.mounts;
}

Result loadPlan(const Launch& launch, Plan& plan) {
  const char* path = launch.request.planPath;
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
  auto* bytes = static_cast<char*>(allocate(size));
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

/** By the way that the store was found: whatever lies there now is what the view is made of. */
Result checkPrivateFiles(Launch& launch) {
  if (launch.plan.objects().count == 0) return success();
  const char* path = joined(launch.request.store, "/objects");
  const sys::Descriptor objects(sys::open(AT_FDCWD, path, O_PATH | O_DIRECTORY));
  if (objects.error() != 0) return failure(Step::checkGuard, path, objects.error());
  return checkObjects(launch.plan, objects.get(), launch.object);
}

/**
 * Whether what is mounted below the targets need not be looked up in the mount table, which takes as long as fifty
 * guards: where there should be nothing, the clones of the targets show whether there is.
 */
bool canAskClones(const Launch& launch) {
  const file::Header& header = launch.plan.header();
  return launch.host.isBare && header.carried.count == 0 && launch.plan.text(header.root) == nullptr;
}

/** Loads the plan and checks that it holds for the host as it is now. */
Result findPlan(Launch& launch) {
  Result result = loadPlan(launch, launch.plan);
  if (result.ok() && !answers(launch.plan, launch.request)) {
    result = failure(Step::checkHost, "the request", 0);
  }
  const uint32_t level = launch.host.isBare ? launch.host.cpuLevel : cpuLevel();
  if (result.ok()) result = checkHost(launch.plan, launch.uid, launch.gid, level);
  if (result.ok()) result = checkLoaderEnvironment(launch);
  if (result.ok()) result = checkGuards(launch.plan);
  if (result.ok()) result = checkPrivateFiles(launch);
  // Who asks what would be run has no clones made.
  if (!result.ok() || (canAskClones(launch) && !launch.options.info)) return result;
  MountTable& mounts = mountTable(launch);
  if (launch.host.isBare) result = mounts.load();
  return result.ok() ? checkCarried(launch.plan, mounts) : result;
}

/** By the mount table, which lists what an overlay covers too. Of ours there is only the host's directory in it. */
Result checkNothingListed(Launch& launch) {
  MountTable& mounts = mountTable(launch);
  Result result = mounts.load();
  if (!result.ok()) return result;
  const Plan& plan = launch.plan;
  const Result read = mounts.forEach([&](const Mount& mount) {
    for (const file::Overlay& overlay : plan.overlays()) {
      const char* target = plan.text(overlay.target);
      const char* point = mount.point.get();
      if (!isStrictlyBelow(point, target)) continue;
      PathText ours;
      ours.add(target).add('/').add(hostDirectory);
      if (!isWithin(point, ours.get())) result = failure(Step::checkMounts, target, 0);
    }
  });
  return read.ok() ? result : read;
}

/** Once the clones are attached: of others nothing is told (listmount(2)). */
Result checkClones(Launch& launch) {
  const Result result = launch.overlays.checkNothingBelow(launch.plan);
  // The call is younger than many seccomp filters of container engines.
  return result.error == 0 ? result : checkNothingListed(launch);
}

/** The root directory in which the plan's targets are: this machine's, or the tree, mounted for us alone. */
Result openViewRoot(Launch& launch, sys::Descriptor& machineRoot, int& viewRoot) {
  const char* root = launch.plan.text(launch.plan.header().root);
  if (root != nullptr) {
    const Result mounted = launch.root.mount(root);
    viewRoot = launch.root.get();
    return mounted;
  }
  machineRoot.reset(sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
  viewRoot = machineRoot.get();
  return machineRoot.error() == 0 ? success() : failure(Step::openDirectory, "/", machineRoot.error());
}

/** Mounts everything, and looks at the shared files once more as programs will see them. */
Result setUp(Launch& launch) {
  const Plan& plan = launch.plan;
  const char* root = plan.text(plan.header().root);
  const bool needsMounts = root != nullptr || plan.overlays().count > 0 || plan.binds().count > 0;
  if (!needsMounts && !needsNamespaces(launch)) return success();
  if (const Result entered = enterNamespaces(launch.namespaces); !entered.ok()) return entered;
  sys::Descriptor machineRoot;
  int viewRoot = -1;
  Result result = openViewRoot(launch, machineRoot, viewRoot);
  if (result.ok()) result = launch.overlays.open(plan, viewRoot);
  Signature signature;
  if (result.ok() && plan.overlays().count > 0) result = sign(launch, signature);
  if (result.ok()) result = launch.overlays.mount(plan, viewRoot, signature.get());
  if (result.ok() && canAskClones(launch)) result = checkClones(launch);
  if (result.ok()) result = checkThroughView(plan, root == nullptr ? AT_FDCWD : viewRoot);
  if (result.ok()) result = bindInto(plan, viewRoot);
  if (result.ok() && launch.confined != nullptr) result = openConfined(launch);
  if (result.ok() && root != nullptr) result = launch.root.enter();
  if (result.ok() && launch.confined != nullptr) result = mountConfined(launch);
  return result;
}

/** What a new plan can mend: the host is not as it was when the guards were looked at. */
bool isStale(const Result& result) {
  const bool gone = result.error == ENOENT || result.error == ENOTDIR || result.error == ELOOP;
  return result.step == Step::checkView || result.step == Step::checkMounts ||
         (result.step == Step::openDirectory && gone);
}

/**
 * The working directory still is the directory below the mounts: names looked up from it would not be the mixed ones. A
 * tree need not have it: then the program starts in /, where the tree was entered. Elsewhere it was reachable a moment
 * ago; if it was removed since, the program starts in a removed directory, as it would have.
 */
Result lookUpWorkingDirectory(const Launch& launch) {
  const char* directory = launch.workingDirectory;
  const int error = *directory == '/' ? sys::chdir(directory) : 0;
  return error < 0 && !isAbsent(error) ? failure(Step::openDirectory, directory, error) : success();
}

/** Where it cannot be seen any more, a program starts as after a login; never in the directory that was covered. */
Result enterConfinedDirectory(const Launch& launch) {
  for (const char* directory : {launch.workingDirectory, launch.confined->owner.home, "/"}) {
    const int error = directory == nullptr || *directory != '/' ? -ENOENT : sys::chdir(directory);
    if (error == 0) return success();
    if (!isAbsent(error)) return failure(Step::openDirectory, directory, error);
  }
  return failure(Step::openDirectory, "/", ENOENT);
}

/** Where overlays of a container are in the way, sees the host as it is. */
Result seeHost(Launch& launch) {
  bool restored = false;
  MountTable& mounts = mountTable(launch);
  Result result = mounts.load();
  if (result.ok()) result = restoreHost(mounts, launch.namespaces, restored);
  if (result.ok() && restored) result = mounts.load();
  if (result.ok() && restored) return lookUpWorkingDirectory(launch);
  bool isBare = true;
  if (result.ok()) result = mounts.forEach([&](const Mount& mount) { isBare = isBare && !mount.ours; });
  if (result.ok() && isBare) launch.host = leaveHostWord(launch.request.store, launch.uid, cpuLevel());
  return result;
}

/** Not inlined, as what it puts on the stack is to be used again by others. */
[[gnu::noinline]] const char* findWorkingDirectory() {
  char path[PATH_MAX];
  const long length = sys::getcwd(path, sizeof path);
  if (length > 0) return joined(path, "");
  // One that was removed, or has too long a path, is the caller's choice; else names looked up from it would show the
  // host's files.
  const auto error = static_cast<int>(length);
  if (!isAbsent(error)) fail(Exit::failed, failure(Step::openDirectory, ".", error));
  return "";
}

Result enterWorkingDirectory(const Launch& launch) {
  if (launch.confined != nullptr) return enterConfinedDirectory(launch);
  const bool inTree = launch.plan.text(launch.plan.header().root) != nullptr;
  return inTree || isCovered(launch.plan, launch.workingDirectory) ? lookUpWorkingDirectory(launch) : success();
}

}  // namespace

void launch(size_t argc, const char* const* argv, const char* const* environment) {
  if (argc == 0) fail(Exit::failed, "started without a name", nullptr, nullptr, nullptr);
  // The kernel gave this process rights that its caller does not have.
  if (auxiliaryValue(environment, AT_SECURE) != 0) {
    fail(Exit::failed, "must not be setuid, nor have file capabilities", nullptr, nullptr,
         "chmod u-s,g-s and setcap -r it: unprivileged users need neither");
  }
  alignas(Launch) static char storage[sizeof(Launch)];
  // What a launch writes to, but for the stack: page by page, faults take twice as long. Behind it lies the memory that
  // allocate() gives (binding.gyp), so a small plan comes with it.
  sys::populate(storage, sizeof storage + usualSize);
  Launch& launch = *new (storage) Launch;
  launch.environment = environment;
  launch.uid = sys::userId();
  launch.gid = sys::groupId();
  parseOptions(argv, launch.options);
  launch.replanned = findReplanned(environment);
  launch.workingDirectory = findWorkingDirectory();
  if (launch.options.enter != nullptr) enter(launch);

  launch.request.store = findStore(environment, launch.uid);
  launch.host = recallHost(launch.request.store, launch.uid);
  Result result = launch.host.isBare ? success() : seeHost(launch);
  if (!result.ok()) fail(Exit::failed, result);

  resolveRequest(launch.options, environment, launch.workingDirectory, launch.request);
  {
    const sys::Descriptor lock(launch.replanned.lock);
    result = findPlan(launch);
  }
  if (launch.options.info) {
    if (result.ok()) composeConfined(launch);
    printInfo(launch, result);
  }
  const bool replaces = launch.options.replace && launch.replanned.rounds == 0;
  if (!result.ok() || replaces) goCold(launch.options, launch.request, argv, environment, result);

  requireEntry(launch);
  composeConfined(launch);
  result = setUp(launch);
  if (!result.ok()) {
    launch.overlays.remove();
    launch.root.remove();
    if (isStale(result)) goCold(launch.options, launch.request, argv, environment, result);
    fail(Exit::failed, result);
  }
  if (result = enterWorkingDirectory(launch); !result.ok()) fail(Exit::failed, result);
  ignoreAgain(launch.replanned.ignoredSignals);
  const Program program = findProgram(launch);
  if (needsSupervisor(launch)) supervise(launch, program);
  if (launch.confined != nullptr) {
    if (result = confineProcess(*launch.confined); !result.ok()) fail(Exit::failed, result);
  }
  execute(program);
}

}  // namespace appc
