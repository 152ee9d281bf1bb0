// What every fallible function of the core returns. No exceptions here: the launcher has no run-time for them, and
// after fork none may be thrown.
#pragma once

namespace appc {

/** What was being done. stepText() (explain.h) says it in words. */
enum class Step {
  none,
  readPlan,
  decodePlan,
  checkOwner,
  checkHost,
  checkGuard,
  checkView,
  checkMounts,
  readMounts,
  openProgram,
  unshareUser,
  unshareChrooted,
  unshareMounts,
  mapIds,
  makeSlave,
  openDirectory,
  cloneTree,
  createOverlay,
  configureOverlay,
  mountOverlay,
  createSkeleton,
  fillSkeleton,
  attachMount,
  changeRoot,
  execute,
  makeReadOnly,
  mountPrivate,
  mountProc,
  showPath,
  openNamespace,
  setHostName,
  raiseLoopback,
  setLimit,
  makeCgroup,
  dropCapabilities,
  restrictFiles,
  filterCalls,
  openTerminal,
  startBusProxy,
  startProcess,
  waitForProgram,
  tellStatus,
  openProcess,
  signalProcess,
  joinNamespace,
  renewOverlay,
  lockFile,
  linkFile,
  exchangeFiles,
  protectFile,
  syncFileSystem,
  makePipe,
  makeWhiteout,
  watchFiles,
  readChanges,
  tellManager,
  probe,
};

/** Success, or the step that failed, with what it failed on (may be null) and the errno (0 when no call failed). */
struct [[nodiscard]] Result {
  Step step = Step::none;
  const char* path = nullptr;
  int error = 0;

  bool ok() const { return step == Step::none; }
};

inline Result success() { return {}; }
/** `error` as an errno, or as the negative return value of a system call. */
inline Result failure(Step step, const char* path, int error) { return {step, path, error < 0 ? -error : error}; }

}  // namespace appc
