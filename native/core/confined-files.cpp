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

/** A user of a service may have one of these as home, or something in the second: nothing private is there. */
constexpr const char* systems[] = {"/", "/tmp", "/run", "/var", "/opt", "/srv", "/mnt", "/media", "/boot"};
constexpr const char* wholeSystems[] = {"/usr", "/bin", "/sbin", "/lib", "/etc", "/dev", "/proc", "/sys"};

bool isSystems(const char* path) {
  bool is = false;
  for (const char* directory : systems) is = is || equal(path, directory);
  for (const char* directory : wholeSystems) is = is || isWithin(path, directory);
  return is;
}

int cloneTree(int fd) { return sys::openTree(fd, OPEN_TREE_CLONE | AT_RECURSIVE); }

/**
 * No link is followed: the program, which may write below a path that is shown to it, could else put one there that
 * leads to what the next launch would show (CVE-2024-42472 of Flatpak).
 */
int openShownPath(int root, const Shown& shown, const Owner& owner) {
  constexpr uint64_t strictly = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const char* path = shown.path;
  if (shown.isSystems && path[0] == '/') return sys::openResolved(root, path, O_PATH, inside);
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

/** The real path; of one that does not exist, or cannot be looked at, the one that was given. */
void findHome(int root, const char* typed, PathText& home) {
  const sys::Descriptor directory(sys::openResolved(root, typed, O_PATH | O_DIRECTORY, inside));
  if (directory.error() == 0 && pathOf(directory.get(), home) == 0) return;
  home.clear();
  home.add(typed);
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
  const sys::Descriptor source(openShownPath(root, shown, owner));
  if (shown.isSystems && source.error() == ENOENT) return success();
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
    if (const Result made = makeReadOnly(shown.path, added.clone.get()); !made.ok()) return made;
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
  PathText home;
  if (owner.home != nullptr) findHome(root, owner.home, home);
  Result result = success();
  // First, so that what is mounted on top can be written to.
  if (confinement.has(part::readOnly)) result = makeReadOnly("/", root);
  if (result.ok() && confinement.has(part::tmp)) result = coverDirectory(root, "/tmp", "1777");
  if (result.ok() && confinement.has(part::tmp)) result = coverDirectory(root, "/var/tmp", "1777");
  if (result.ok() && confinement.has(part::run)) result = coverRun(root, owner);
  if (result.ok() && confinement.has(part::dev)) result = coverDevices(root);
  if (result.ok() && confinement.has(part::home)) result = coverHomes(root, owner);
  if (result.ok() && owner.home != nullptr) {
    result = provideHome(root, owner.home, home.get(), confinement.has(part::home));
  }
  for (size_t i = 0; i < pieceCount_ && result.ok(); ++i) result = show(root, pieces_[i]);
  return result;
}

Result ConfinedFiles::adopt(int root, const Confinement& confinement) {
  // The program can write here and there, and may have put a link in the way. What is mounted it cannot exchange.
  constexpr uint64_t strictly = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  if (confinement.has(part::dev)) {
    terminals_.reset(sys::openResolved(root, "/dev/pts", O_PATH | O_DIRECTORY, strictly));
    struct statfs status;
    constexpr long devpts = 0x1cd1;  // DEVPTS_SUPER_MAGIC
    int error = -terminals_.error();
    if (error == 0) error = sys::statfs(terminals_.get(), status);
    if (error == 0 && status.f_type != devpts) error = -ENODEV;
    if (error < 0) return failure(Step::openTerminal, nullptr, error);
  }
  for (size_t i = 0; i < confinement.shownCount; ++i) {
    const char* path = confinement.shown[i].path;
    sys::Descriptor& place = pieces_[i].clone;
    place.reset(sys::openResolved(root, path, O_PATH, strictly));
    if (place.error() == 0) noteWritable(place.get());
    const bool gone = place.error() == ENOENT || place.error() == ENOTDIR || place.error() == ELOOP;
    if (place.error() != 0 && !gone) return failure(Step::restrictFiles, path, place.error());
  }
  return success();
}

/** Nothing where there is no such directory, as in a tree that serves as the host. */
Result ConfinedFiles::coverDirectory(int root, const char* path, const char* mode) {
  const sys::Descriptor there(sys::openResolved(root, path, O_PATH | O_DIRECTORY, inside));
  if (there.error() == ENOENT || there.error() == ENOTDIR) return success();
  sys::Descriptor& covering = private_[privateCount_++];
  Result result = createTmpfs(path, mode, covering);
  if (result.ok()) result = own_.add(path, covering.get());
  if (result.ok()) result = attachAt(root, path, covering);
  if (result.ok()) noteWritable(covering.get());
  return result;
}

Result ConfinedFiles::coverHomes(int root, const Owner& owner) {
  const Result covered = coverDirectory(root, "/home", "0755");
  // root's own can be looked into by root alone, who may be somebody else here.
  return covered.ok() ? coverDirectory(root, "/root", owner.uid == 0 ? "0700" : "0755") : covered;
}

/**
 * An empty directory in the place of the home that was covered with others', or that lies elsewhere and `isPrivate`;
 * and where a link of the host's led to it, one does again.
 */
Result ConfinedFiles::provideHome(int root, const char* typed, const char* home, bool isPrivate) {
  const sys::Descriptor there(sys::openResolved(root, home, O_PATH | O_DIRECTORY, inside));
  sys::Descriptor made;
  Result result = success();
  if (there.error() == ENOENT) {
    result = makePath(root, home, true, own_, made);
    // Of the host's, and it never was there.
    if (result.error == ENOENT) return success();
  } else if (isPrivate && there.error() == 0 && !isSystems(home)) {
    bool isOwn = false;
    if (const int error = own_.hold(there.get(), isOwn); error < 0) return failure(Step::mountPrivate, home, error);
    if (!isOwn) result = coverDirectory(root, home, "0700");
  }
  if (!result.ok() || equal(typed, home)) return result;
  const sys::Descriptor found(sys::openResolved(root, typed, O_PATH | O_DIRECTORY, inside));
  const char* name = lastComponent(typed);
  if (found.error() != ENOENT || *name == '\0') return success();
  PathText parent;
  parent.add(typed);
  parent.truncate(static_cast<size_t>(name - typed));
  result = makePath(root, parent.get(), true, own_, made);
  if (!result.ok()) return failure(Step::mountPrivate, typed, result.error);
  const long error = sys::call(SYS_symlinkat, sys::word(home), made.get(), sys::word(name));
  return error < 0 ? failure(Step::mountPrivate, typed, static_cast<int>(error)) : success();
}

Result ConfinedFiles::coverRun(int root, const Owner& owner) {
  const size_t before = privateCount_;
  const Result covered = coverDirectory(root, "/run", "0755");
  if (!covered.ok() || privateCount_ == before) return covered;
  Text<64> runtime;
  runtime.add("/run/user/").addDecimal(owner.uid);
  sys::Descriptor directory;
  const Result made = makePath(root, runtime.get(), true, own_, directory);
  // A tree without /run: there is nothing to be covered.
  if (made.error == ENOENT) return success();
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
    const Result made = makePath(root, path.get(), S_ISDIR(status.stx_mode), own_, place);
    if (!made.ok()) return failure(Step::mountPrivate, "/dev", made.error);
    error = sys::moveMount(devices_[i].get(), place.get());
    if (error < 0) return failure(Step::mountPrivate, "/dev", error);
  }
  sys::Descriptor place;
  Result result = makePath(root, "/dev", true, own_, place);
  for (const Link& link : deviceLinks) {
    if (!result.ok()) return result;
    const long error = sys::call(SYS_symlinkat, sys::word(link.target), place.get(), sys::word(link.name));
    if (error < 0) return failure(Step::mountPrivate, "/dev", static_cast<int>(error));
  }
  result = makePath(root, "/dev/pts", true, own_, place);
  if (result.ok()) result = createTerminals("/dev/pts", terminals_);
  if (result.ok()) result = attachAt(root, "/dev/pts", terminals_);
  if (result.ok()) result = makePath(root, "/dev/shm", true, own_, place);
  if (result.ok()) result = createTmpfs("/dev/shm", "1777", memory_);
  if (result.ok()) result = own_.add("/dev/shm", memory_.get());
  return result.ok() ? attachAt(root, "/dev/shm", memory_) : result;
}

Result ConfinedFiles::show(int root, Piece& piece) {
  sys::Descriptor place;
  if (const Result made = makePath(root, piece.path.get(), piece.isDirectory, own_, place); !made.ok()) return made;
  if (const int error = sys::moveMount(piece.clone.get(), place.get()); error < 0) {
    return failure(Step::showPath, piece.path.get(), error);
  }
  if (piece.writable) noteWritable(piece.clone.get());
  return success();
}

}  // namespace appc
