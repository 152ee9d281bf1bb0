#include "confined.h"

#include <new>

#include "capabilities.h"
#include "environment.h"
#include "landlock.h"
#include "network.h"
#include "process.h"
#include "report.h"
#include "resource-limits.h"
#include "seccomp.h"

namespace appc {
namespace {

const char* homeOf(const char* const* environment) {
  const char* home = findFilledVariable(environment, "HOME");
  return home != nullptr && *home == '/' ? home : nullptr;
}

/** A program in a private directory is shown, as it is what is to be run. */
void showProgram(const Launch& launch, Confinement& confinement) {
  if (launch.options.program == nullptr || !confinement.has(part::tmp | part::home | part::run)) return;
  if (*launch.request.root != '\0' || confinement.shownCount == maxShown) return;
  confinement.shown[confinement.shownCount++] = {launch.request.subject, false};
}

/** One that is a directory leads to all of the host (CVE-2024-21626 of runc). */
void refuseDirectories() {
  for (int fd = 0; fd <= 2; ++fd) {
    struct statx status;
    if (sys::statAt(fd, "", AT_EMPTY_PATH, STATX_TYPE, status) < 0 || !S_ISDIR(status.stx_mode)) continue;
    fail(Exit::failed, "a standard stream is a directory", nullptr, "by it a program leaves its confinement", nullptr);
  }
}

Result unshareNamespaces(const Launch& launch) {
  const Confinement& confinement = launch.confined->confinement;
  constexpr struct {
    uint32_t part;
    int flag;
    const char* name;
  } kinds[] = {{part::ipc, CLONE_NEWIPC, "ipc"}, {part::uts, CLONE_NEWUTS, "uts"}, {part::net, CLONE_NEWNET, "net"}};
  for (const auto& kind : kinds) {
    if (!confinement.has(kind.part)) continue;
    if (const int error = sys::unshare(kind.flag); error < 0) return failure(Step::openNamespace, kind.name, error);
  }
  if (confinement.has(part::uts)) {
    // Not the machine's, which says where it runs.
    const char* name = launch.options.program == nullptr ? launch.options.container.get() : "appc";
    constexpr size_t longest = 64;  // __NEW_UTS_LEN
    const size_t length = strnlen(name, longest);
    const int error = static_cast<int>(sys::call(SYS_sethostname, sys::word(name), sys::word(length)));
    if (error < 0) return failure(Step::setHostName, name, error);
  }
  return confinement.has(part::net) ? raiseLoopback() : success();
}

/** The caller's descriptors lead out of any confinement; only those that he names go along. */
Result closeOthers(const Confinement& confinement) {
  if (confinement.parts == 0) return success();
  if (const int error = sys::closeOnExecFrom(3); error < 0) return failure(Step::execute, nullptr, error);
  for (size_t i = 0; i < confinement.keptCount; ++i) {
    const int error = sys::setDescriptorFlags(confinement.kept[i], 0);
    if (error < 0) return failure(Step::execute, nullptr, error);
  }
  return success();
}

Result restrictFiles(const Confined& confined) {
  const Confinement& confinement = confined.confinement;
  if (!confinement.has(part::readOnly)) return restrictByLandlock(nullptr, 0, true, confined.joinsProcesses);
  int writable[maxShown + 16];
  size_t count = confined.files.writableCount();
  memcpy(writable, confined.files.writable(), count * sizeof *writable);
  sys::Descriptor processes;
  if (confinement.has(part::pid)) {
    processes.reset(sys::open(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY));
    if (processes.error() != 0) return failure(Step::restrictFiles, "/proc", processes.error());
    writable[count++] = processes.get();
  }
  // The machine's, read-only; but devices can be written to all the same.
  sys::Descriptor devices;
  if (!confinement.has(part::dev)) {
    devices.reset(sys::open(AT_FDCWD, "/dev", O_PATH | O_DIRECTORY));
    if (devices.error() != 0) return failure(Step::restrictFiles, "/dev", devices.error());
    writable[count++] = devices.get();
  }
  return restrictByLandlock(writable, count, false, confined.joinsProcesses);
}

}  // namespace

void composeConfined(Launch& launch) {
  const ConfinementWords& words = launch.options.confinement;
  if (!words.any()) return;
  alignas(Confined) static char storage[sizeof(Confined)];
  launch.confined = new (storage) Confined;
  launch.confined->owner = {launch.uid, homeOf(launch.environment)};
  composeConfinement(words, launch.plan, launch.environment, launch.confined->confinement);
  showProgram(launch, launch.confined->confinement);
  if (launch.confined->confinement.has(part::files)) refuseDirectories();
}

bool needsNamespaces(const Launch& launch) {
  if (launch.confined == nullptr) return false;
  const Confinement& confinement = launch.confined->confinement;
  constexpr uint32_t any = part::files | part::pid | part::ipc | part::uts | part::net;
  return confinement.has(any) || confinement.shownCount > 0 || confinement.busNameCount > 0;
}

Result openConfined(Launch& launch) {
  Confined& confined = *launch.confined;
  const sys::Descriptor machine(sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
  if (machine.error() != 0) return failure(Step::openDirectory, "/", machine.error());
  confined.bus.open(confined.confinement, launch.environment);
  const Result group = confined.confinement.group.any() ? confined.group.open() : success();
  if (!group.ok()) return group;
  return confined.files.open(machine.get(), confined.confinement, confined.owner);
}

Result mountConfined(Launch& launch) {
  Confined& confined = *launch.confined;
  if (const Result unshared = unshareNamespaces(launch); !unshared.ok()) return unshared;
  if (!confined.confinement.has(part::files) && confined.confinement.shownCount == 0) return success();
  const sys::Descriptor root(sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
  if (root.error() != 0) return failure(Step::openDirectory, "/", root.error());
  return confined.files.mount(root.get(), confined.confinement, confined.owner);
}

Result confineProcess(const Confined& confined) {
  const Confinement& confinement = confined.confinement;
  Result result = closeOthers(confinement);
  // Without capabilities the filters take no_new_privs; with them, too, a setuid program inside must not be misled by
  // calls that fail.
  if (result.ok() && confinement.has(part::process)) result = forbidNewPrivileges();
  if (result.ok() && confinement.has(part::capabilities)) result = dropCapabilities();
  if (result.ok() && confinement.has(part::landlock)) result = restrictFiles(confined);
  // After what takes descriptors, of which they may allow few.
  if (result.ok()) result = setProcessLimits(confinement);
  if (result.ok() && confinement.has(part::seccomp)) result = filterSystemCalls();
  return result;
}

bool needsSupervisor(const Launch& launch) {
  if (launch.options.statusFd >= 0) return true;
  if (launch.confined == nullptr) return false;
  const Confinement& confinement = launch.confined->confinement;
  return confinement.has(part::pid | part::session) || confinement.group.any() || confinement.busNameCount > 0;
}

}  // namespace appc
