#include "confined-files.h"

#include <errno.h>

#include "path-of.h"

namespace appc {
namespace {

constexpr const char* plainDevices[] = {"null", "zero", "full", "random", "urandom", "tty"};
constexpr const char* graphicsDevices[] = {
    "dri",     "nvidiactl", "nvidia-modeset", "nvidia-uvm", "nvidia-uvm-tools", "nvidia0", "nvidia1", "nvidia2",
    "nvidia3", "nvidia4",   "nvidia5",        "nvidia6",    "nvidia7",          "kfd",     "mali0",   "udmabuf",
};

struct Link {
  const char* name;
  const char* target;
};
constexpr Link deviceLinks[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},
};

constexpr uint64_t inside = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;

int cloneTree(int fd) { return sys::openTree(fd, OPEN_TREE_CLONE | AT_RECURSIVE); }

/**
 * No link is followed: the program, which may write below a path that is shown to it, could else put one there that
 * leads to what the next launch would show (CVE-2024-42472 of Flatpak).
 */
int openShownPath(int root, const char* path, const Owner& owner) {
  constexpr uint64_t strictly = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  if (path[0] == '~' && (path[1] == '/' || path[1] == '\0')) {
    if (owner.home == nullptr) return -ENOENT;
    // The home directory itself may be reached by a link of the system.
    const sys::Descriptor home(sys::openResolved(root, owner.home, O_PATH | O_DIRECTORY, inside));
    if (home.error() != 0) return -home.error();
    return path[1] == '\0' || path[2] == '\0' ? sys::openResolved(home.get(), ".", O_PATH | O_DIRECTORY, strictly)
                                              : sys::openResolved(home.get(), path + 2, O_PATH, strictly);
  }
  return sys::openResolved(AT_FDCWD, path, O_PATH, strictly);
}

}  // namespace

Result ConfinedFiles::open(int root, const Confinement& confinement, const Owner& owner) {
  for (size_t i = 0; i < confinement.shownCount; ++i) {
    if (const Result opened = openShown(root, confinement.shown[i], owner); !opened.ok()) return opened;
  }
  return confinement.has(part::dev) ? openDevices(root, (confinement.features & feature::gpu) != 0) : success();
}

/** Kept in order of their lengths, so that what lies below another comes after it. */
Result ConfinedFiles::openShown(int root, const Shown& shown, const Owner& owner) {
  const sys::Descriptor source(openShownPath(root, shown.path, owner));
  if (source.error() != 0) return failure(Step::showPath, shown.path, source.error());
  Piece added;
  if (const int error = pathOf(source.get(), added.path); error < 0) {
    return failure(Step::showPath, shown.path, error);
  }
  struct statx status;
  const int error = sys::statAt(source.get(), "", AT_EMPTY_PATH, STATX_TYPE, status);
  if (error < 0) return failure(Step::showPath, shown.path, error);
  // All of it: what is private would be shown again, and what is read-only be writable.
  if (equal(added.path.get(), "/")) return failure(Step::showPath, shown.path, EINVAL);
  added.isDirectory = S_ISDIR(status.stx_mode);
  added.writable = shown.writable;
  added.clone.reset(cloneTree(source.get()));
  if (added.clone.error() != 0) return failure(Step::showPath, shown.path, added.clone.error());
  if (!shown.writable) {
    if (const Result made = makeReadOnly(shown.path, added.clone.get(), false); !made.ok()) return made;
  }
  size_t place = pieceCount_++;
  for (; place > 0 && pieces_[place - 1].path.length() > added.path.length(); --place) {
    pieces_[place] = static_cast<Piece&&>(pieces_[place - 1]);
  }
  pieces_[place] = static_cast<Piece&&>(added);
  return success();
}

Result ConfinedFiles::openDevices(int root, bool graphics) {
  const sys::Descriptor directory(sys::openResolved(root, "/dev", O_PATH | O_DIRECTORY, inside));
  if (directory.error() != 0) return failure(Step::mountPrivate, "/dev", directory.error());
  const auto take = [&](const char* name) {
    const sys::Descriptor device(
        sys::openResolved(directory.get(), name, O_PATH, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS));
    if (device.error() != 0) return device.error();
    sys::Descriptor& clone = devices_[deviceCount_];
    clone.reset(cloneTree(device.get()));
    if (clone.error() == 0) deviceNames_[deviceCount_++] = name;
    return clone.error();
  };
  for (const char* name : plainDevices) {
    if (const int error = take(name); error != 0) return failure(Step::mountPrivate, "/dev", error);
  }
  if (!graphics) return success();
  const size_t before = deviceCount_;
  for (const char* name : graphicsDevices) {
    if (const int error = take(name); error != 0 && error != ENOENT) return failure(Step::showPath, "/dev/dri", error);
  }
  return deviceCount_ == before ? failure(Step::showPath, "/dev/dri", ENOENT) : success();
}

Result ConfinedFiles::mount(int root, const Confinement& confinement, const Owner& owner) {
  Result result = success();
  // First, so that what is mounted on top can be written to. What the host mounts later would come in writable.
  if (confinement.has(part::readOnly)) result = makeReadOnly("/", root, true);
  if (result.ok() && confinement.has(part::tmp)) result = coverDirectory(root, "/tmp", "1777");
  if (result.ok() && confinement.has(part::tmp)) result = coverDirectory(root, "/var/tmp", "1777");
  if (result.ok() && confinement.has(part::home)) result = coverHomes(root, owner);
  if (result.ok() && confinement.has(part::tmp) && owner.home != nullptr && isWithin(owner.home, "/tmp")) {
    sys::Descriptor home;
    result = makePath(root, owner.home, true, home);
  }
  if (result.ok() && confinement.has(part::run)) result = coverRun(root, owner);
  if (result.ok() && confinement.has(part::dev)) result = coverDevices(root);
  for (size_t i = 0; i < pieceCount_ && result.ok(); ++i) result = show(root, pieces_[i]);
  return result;
}

/** Nothing where there is no such directory, as in a tree that serves as the host. */
Result ConfinedFiles::coverDirectory(int root, const char* path, const char* mode) {
  const sys::Descriptor there(sys::openResolved(root, path, O_PATH | O_DIRECTORY, inside));
  if (there.error() == ENOENT || there.error() == ENOTDIR) return success();
  sys::Descriptor& covering = private_[privateCount_++];
  Result result = createTmpfs(path, mode, covering);
  if (result.ok()) result = attachAt(root, path, covering);
  if (result.ok()) noteWritable(covering.get());
  return result;
}

Result ConfinedFiles::coverHomes(int root, const Owner& owner) {
  Result result = coverDirectory(root, "/home", "0755");
  // root's own can be looked into by root alone, who may be somebody else here.
  if (result.ok()) result = coverDirectory(root, "/root", owner.uid == 0 ? "0700" : "0755");
  const bool elsewhere = owner.home != nullptr && !isWithin(owner.home, "/home") && !isWithin(owner.home, "/root");
  // A service's user may have / or a directory of the system as home: nothing private is there.
  constexpr const char* systems[] = {"/usr", "/bin", "/sbin", "/lib", "/etc", "/dev", "/proc", "/sys", "/run", "/tmp"};
  bool system = !elsewhere || equal(owner.home, "/");
  for (const char* directory : systems) system = system || isWithin(owner.home, directory);
  if (result.ok() && !system) return coverDirectory(root, owner.home, "0700");
  if (!result.ok() || owner.home == nullptr || elsewhere) return result;
  sys::Descriptor home;
  return makePath(root, owner.home, true, home);
}

Result ConfinedFiles::coverRun(int root, const Owner& owner) {
  const size_t before = privateCount_;
  const Result covered = coverDirectory(root, "/run", "0755");
  if (!covered.ok() || privateCount_ == before) return covered;
  Text<64> runtime;
  runtime.add("/run/user/").addDecimal(owner.uid);
  sys::Descriptor directory;
  const Result made = makePath(root, runtime.get(), true, directory);
  if (!made.ok()) return failure(Step::mountPrivate, "/run", made.error);
  const sys::Descriptor real(sys::openResolved(root, runtime.get(), O_RDONLY | O_DIRECTORY, inside));
  // XDG base directory specification: nobody else may come in.
  const long error = real.error() != 0 ? -real.error() : sys::call(SYS_fchmod, real.get(), 0700);
  return error < 0 ? failure(Step::mountPrivate, "/run", static_cast<int>(error)) : success();
}

Result ConfinedFiles::coverDevices(int root) {
  const size_t before = privateCount_;
  const Result covered = coverDirectory(root, "/dev", "0755");
  if (!covered.ok() || privateCount_ == before) return covered;
  for (size_t i = 0; i < deviceCount_; ++i) {
    PathText path;
    path.add("/dev/").add(deviceNames_[i]);
    sys::Descriptor place;
    struct statx status;
    int error = sys::statAt(devices_[i].get(), "", AT_EMPTY_PATH, STATX_TYPE, status);
    if (error < 0) return failure(Step::mountPrivate, "/dev", error);
    const Result made = makePath(root, path.get(), S_ISDIR(status.stx_mode), place);
    if (!made.ok()) return failure(Step::mountPrivate, "/dev", made.error);
    error = sys::moveMount(devices_[i].get(), place.get());
    if (error < 0) return failure(Step::mountPrivate, "/dev", error);
  }
  const int directory = private_[before].get();
  for (const Link& link : deviceLinks) {
    const long error = sys::call(SYS_symlinkat, sys::word(link.target), directory, sys::word(link.name));
    if (error < 0) return failure(Step::mountPrivate, "/dev", static_cast<int>(error));
  }
  sys::Descriptor place;
  Result result = makePath(root, "/dev/pts", true, place);
  if (result.ok()) result = createTerminals("/dev/pts", terminals_);
  if (result.ok()) result = attachAt(root, "/dev/pts", terminals_);
  if (result.ok()) result = makePath(root, "/dev/shm", true, place);
  if (result.ok()) result = createTmpfs("/dev/shm", "1777", memory_);
  return result.ok() ? attachAt(root, "/dev/shm", memory_) : result;
}

Result ConfinedFiles::show(int root, Piece& piece) {
  sys::Descriptor place;
  if (const Result made = makePath(root, piece.path.get(), piece.isDirectory, place); !made.ok()) return made;
  if (const int error = sys::moveMount(piece.clone.get(), place.get()); error < 0) {
    return failure(Step::showPath, piece.path.get(), error);
  }
  if (piece.writable) noteWritable(piece.clone.get());
  return success();
}

}  // namespace appc
