#include "explain.h"

#include <errno.h>

namespace appc {
namespace {

struct ErrorWords {
  int error;
  const char* name;
  const char* text;
};

constexpr ErrorWords errors[] = {
    {EPERM, "EPERM", "Operation not permitted"},
    {ENOENT, "ENOENT", "No such file or directory"},
    {ESRCH, "ESRCH", "No such process"},
    {EINTR, "EINTR", "Interrupted system call"},
    {EIO, "EIO", "Input/output error"},
    {ENXIO, "ENXIO", "No such device or address"},
    {E2BIG, "E2BIG", "Argument list too long"},
    {ENOEXEC, "ENOEXEC", "Exec format error"},
    {EBADF, "EBADF", "Bad file descriptor"},
    {EAGAIN, "EAGAIN", "Resource temporarily unavailable"},
    {ENOMEM, "ENOMEM", "Cannot allocate memory"},
    {EACCES, "EACCES", "Permission denied"},
    {EBUSY, "EBUSY", "Device or resource busy"},
    {EEXIST, "EEXIST", "File exists"},
    {EXDEV, "EXDEV", "Invalid cross-device link"},
    {ENODEV, "ENODEV", "No such device"},
    {ENOTDIR, "ENOTDIR", "Not a directory"},
    {EISDIR, "EISDIR", "Is a directory"},
    {EINVAL, "EINVAL", "Invalid argument"},
    {ENFILE, "ENFILE", "Too many open files in system"},
    {EMFILE, "EMFILE", "Too many open files"},
    {ETXTBSY, "ETXTBSY", "Text file busy"},
    {ENOSPC, "ENOSPC", "No space left on device"},
    {EROFS, "EROFS", "Read-only file system"},
    {ENAMETOOLONG, "ENAMETOOLONG", "File name too long"},
    {ENOSYS, "ENOSYS", "Function not implemented"},
    {ELOOP, "ELOOP", "Too many levels of symbolic links"},
    {ELIBBAD, "ELIBBAD", "Accessing a corrupted shared library"},
    {EOVERFLOW, "EOVERFLOW", "Value too large"},
    {EUSERS, "EUSERS", "Too many users"},
    {EOPNOTSUPP, "EOPNOTSUPP", "Operation not supported"},
    {ESTALE, "ESTALE", "Stale file handle"},
};

const ErrorWords* find(int error) {
  for (const ErrorWords& words : errors) {
    if (words.error == error) return &words;
  }
  return nullptr;
}

struct StepWords {
  const char* name;
  const char* text;
};

// In the order of Step.
constexpr StepWords steps[] = {
    {"none", "nothing failed"},
    {"readPlan", "cannot read the plan"},
    {"decodePlan", "the plan is damaged or of another version"},
    {"checkOwner", "the plan was written by another user, or others may write to it"},
    {"checkHost", "the plan was made for other circumstances:"},
    {"checkGuard", "changed since the plan was made:"},
    {"checkView", "a program inside would see another file than planned:"},
    {"checkMounts", "the mounts changed since the plan was made:"},
    {"readMounts", "cannot read the mounts of this process"},
    {"openProgram", "cannot find the program"},
    {"unshareUser", "cannot create a user namespace"},
    {"unshareChrooted", "cannot create a user namespace in a chroot"},
    {"unshareMounts", "cannot create a mount namespace"},
    {"mapIds", "cannot map the user in the new user namespace"},
    {"makeSlave", "cannot keep mounts from spreading to the host"},
    {"openDirectory", "cannot open"},
    {"cloneTree", "cannot clone the mounts at"},
    {"createOverlay", "cannot create an overlay file system for"},
    {"configureOverlay", "cannot configure the overlay for"},
    {"mountOverlay", "cannot mount an overlay on"},
    {"createSkeleton", "the kernel refuses an overlay, and what would stand in for it, for"},
    {"fillSkeleton", "the kernel refuses an overlay, and the files could not be bound one by one, for"},
    {"attachMount", "cannot attach a mount at"},
    {"changeRoot", "cannot change the root directory to"},
    {"execute", "cannot execute"},
    {"makeReadOnly", "cannot make the host's files read-only below"},
    {"mountPrivate", "cannot mount a private"},
    {"mountProc", "cannot mount the processes of the new PID namespace on"},
    {"showPath", "cannot show to the program"},
    {"openNamespace", "cannot create a namespace"},
    {"setHostName", "cannot set the host name"},
    {"raiseLoopback", "cannot bring up the network interface"},
    {"setLimit", "cannot set the limit"},
    {"makeCgroup", "cannot limit the program by a control group:"},
    {"dropCapabilities", "cannot drop capabilities"},
    {"restrictFiles", "cannot restrict the program by Landlock"},
    {"filterCalls", "cannot filter the program's system calls"},
    {"openTerminal", "cannot open a terminal for the program"},
    {"startBusProxy", "cannot start the D-Bus proxy"},
    {"startProcess", "cannot start a process"},
    {"waitForProgram", "cannot wait for the program"},
    {"tellStatus", "cannot write to the descriptor of --status-fd"},
    {"openProcess", "cannot open the process"},
    {"signalProcess", "cannot send a signal to the process"},
    {"joinNamespace", "cannot enter a namespace of the container"},
    {"renewOverlay", "cannot exchange the overlay on"},
    {"lockFile", "cannot lock the file"},
    {"linkFile", "cannot give the file the name"},
    {"exchangeFiles", "cannot exchange what lies at the paths"},
    {"protectFile", "cannot have the file system verify the file"},
    {"syncFileSystem", "cannot flush the file system"},
    {"makePipe", "cannot make a pipe"},
    {"makeWhiteout", "cannot make a whiteout at"},
    {"watchFiles", "cannot watch files"},
    {"readChanges", "cannot read what has changed"},
    {"tellManager", "cannot write to the service manager's socket"},
    {"probe", "cannot try what the kernel allows"},
};
static_assert(sizeof steps / sizeof steps[0] == static_cast<unsigned>(Step::probe) + 1);

constexpr const char* hintForProc =
    "/proc must be mounted, and show the PID namespace that this is: as root, mount -t proc proc /proc";

constexpr const char* hintForChroot =
    "in a chroot / is no mount point: mount --rbind DIR DIR before chroot(8) makes it one";

constexpr const char* namespaceLimit =
    "one of the limits in /proc/sys/user/max_*_namespaces is reached, or 32 namespaces lie in one another";

const char* hintForNamespace(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return "this system does not let you create user namespaces: look at the sysctls "
             "kernel.unprivileged_userns_clone and user.max_user_namespaces, at "
             "kernel.apparmor_restrict_unprivileged_userns (then give appc-run an AppArmor profile with 'userns,'), "
             "and in Docker at --security-opt seccomp=; in a chroot there can be none; root needs none where he has "
             "CAP_SYS_ADMIN";
    case ENOSPC:
    case EUSERS:
      return namespaceLimit;
    case EINVAL:
    case ENOSYS:
      return "this kernel is built without user namespaces (CONFIG_USER_NS)";
    default:
      return nullptr;
  }
}

const char* hintForOverlay(int error) {
  switch (error) {
    case ENODEV:
      return "this kernel has no overlay file system: load its module (modprobe overlay) as root";
    case EPERM:
      return "this system does not let users mount overlays in user namespaces; root may";
    case EINVAL:
      return "the kernel refuses this combination: a mount lies below the directory and you are not root, the "
             "directory is itself an overlay on an overlay (two is the limit); the kernel's log (dmesg) says which";
    case ENOENT:
      return "overlays are set up through /proc/self/fd: /proc must be mounted";
    case ENOSYS:
      return "this takes Linux 5.12 or later, and a seccomp filter that knows the new mount calls";
    default:
      return nullptr;
  }
}

struct Hint {
  Step step;
  int error;
  const char* text;
};

constexpr const char* notDelegated =
    "the caller's control group was not delegated to him: start it by systemd-run --user --scope -p Delegate=yes, or "
    "use systemd's own limits";
constexpr const char* noLandlock =
    "this kernel has no Landlock: --no-landlock leaves it out; the mounts confine without it too";
constexpr const char* noSeccomp = "this kernel has no seccomp filters: --no-seccomp leaves them out";

/** Of a confinement's own steps. */
constexpr Hint confinementHints[] = {
    {Step::makeReadOnly, EINVAL, hintForChroot},
    {Step::mountProc, EPERM,
     "a /proc of its own is refused where the one around is masked, as in most container engines: leave the PID "
     "namespace out (--allow pid)"},
    {Step::showPath, ELOOP, "links on the way are not followed: give the path where it lies"},
    {Step::showPath, EINVAL, "name the directories that are meant"},
    {Step::makeCgroup, ENOENT, "this takes cgroup v2, with the controller enabled for the caller's group"},
    {Step::makeCgroup, EACCES, notDelegated},
    {Step::makeCgroup, EPERM, notDelegated},
    {Step::makeCgroup, EROFS, notDelegated},
    {Step::makeCgroup, EBUSY,
     "other processes are in the caller's group: start it alone in one, by systemd-run --user --scope -p Delegate=yes"},
    {Step::restrictFiles, ENOSYS, noLandlock},
    {Step::restrictFiles, EOPNOTSUPP, noLandlock},
    {Step::filterCalls, EINVAL, noSeccomp},
    {Step::filterCalls, ENOSYS, noSeccomp},
    {Step::startBusProxy, ENOENT,
     "xdg-dbus-proxy must be on PATH (Debian: apt-get install xdg-dbus-proxy), and the bus be there"},
    {Step::openNamespace, ENOSPC, namespaceLimit},
    {Step::openNamespace, EUSERS, namespaceLimit},
    {Step::startProcess, ENOSPC, namespaceLimit},
    {Step::startProcess, EUSERS, namespaceLimit},
    {Step::startProcess, EAGAIN, "the limit of processes is reached (ulimit -u, or of the control group)"},
};

const char* hintForConfinement(const Result& result) {
  for (const Hint& hint : confinementHints) {
    if (hint.step == result.step && hint.error == result.error) return hint.text;
  }
  return nullptr;
}

const char* hintForSkeleton(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
    case ENOSYS:
      return "no file system can be mounted here, though there is a mount namespace: a seccomp filter or a security "
             "module forbids it; in Docker look at --security-opt seccomp= and apparmor=";
    case ENAMETOOLONG:
      return "more than 64 directories lie in one another";
    default:
      return nullptr;
  }
}

}  // namespace

const char* errorName(int error) {
  const ErrorWords* words = find(error);
  return words == nullptr ? "errno" : words->name;
}

const char* errorText(int error) {
  const ErrorWords* words = find(error);
  return words == nullptr ? "an error without a name" : words->text;
}

const char* stepText(Step step) { return steps[static_cast<unsigned>(step)].text; }

const char* stepName(Step step) { return steps[static_cast<unsigned>(step)].name; }

bool isRefusal(Step step) {
  switch (step) {
    case Step::unshareUser:
    case Step::unshareChrooted:
    case Step::unshareMounts:
    case Step::mapIds:
    case Step::makeSlave:
    case Step::cloneTree:
    case Step::createOverlay:
    case Step::configureOverlay:
    case Step::mountOverlay:
    case Step::createSkeleton:
    case Step::fillSkeleton:
    case Step::attachMount:
    case Step::changeRoot:
    case Step::makeReadOnly:
    case Step::mountPrivate:
    case Step::mountProc:
    case Step::openNamespace:
    case Step::makeCgroup:
    case Step::dropCapabilities:
    case Step::restrictFiles:
    case Step::filterCalls:
      return true;
    default:
      return false;
  }
}

const char* hintFor(const Result& result) {
  switch (result.step) {
    case Step::readMounts:
      return result.error == ENOENT
                 ? "/proc must be mounted, and show the PID namespace that this is: as root, mount -t "
                   "proc proc /proc"
                 : nullptr;
    case Step::unshareUser:
      return hintForNamespace(result.error);
    case Step::unshareChrooted:
      return "the kernel allows none there (user_namespaces(7)): launch as root, who needs none, or from outside with "
             "appc-run --root DIR";
    case Step::mapIds:
      if (result.error == ENOENT) return hintForProc;
      // Ubuntu 23.10 and later allow the namespace but take away what is needed in it.
      return hintForNamespace(EPERM);
    case Step::unshareMounts:
      return result.error == ENOSPC ? namespaceLimit : nullptr;
    case Step::createOverlay:
    case Step::configureOverlay:
    case Step::mountOverlay:
      return hintForOverlay(result.error);
    case Step::createSkeleton:
    case Step::fillSkeleton:
      return hintForSkeleton(result.error);
    case Step::makeSlave:
      if (result.error == ENOSYS) return hintForOverlay(ENOSYS);
      return result.error == EPERM || result.error == EINVAL ? hintForChroot : nullptr;
    case Step::makeWhiteout:
      // fs/overlayfs/dir.c, ovl_mknod().
      return result.error == EPERM ? "an overlay, as the root of a container is, cannot hold whiteouts: choose with "
                                     "APPC_HOME a directory on another file system, as a volume"
                                   : nullptr;
    case Step::cloneTree:
    case Step::attachMount:
      if (result.error == ENOSPC) return "the limit on mounts is reached: sysctl fs.mount-max";
      if (result.error == ENOSYS) return hintForOverlay(ENOSYS);
      return nullptr;
    default:
      return hintForConfinement(result);
  }
}

}  // namespace appc
