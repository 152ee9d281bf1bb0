#include "skeleton.h"

#include <errno.h>

#include "mounts.h"
#include "text.h"

namespace appc {
namespace {

/** Of directories that layer and host both have. What only one has is bound as a whole, however deep it is. */
constexpr unsigned maxDepth = 64;

/** struct linux_dirent64 of getdents64(2): no header of the kernel's has it. */
struct DirectoryEntry {
  uint64_t ino;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[1];
};

/** What lies at a name, links not followed. */
struct Found {
  sys::Descriptor fd;
  struct statx status;

  bool isDirectory() const { return S_ISDIR(status.stx_mode); }
  /** overlayfs's sign for a name that is hidden. */
  bool isWhiteout() const {
    return S_ISCHR(status.stx_mode) && status.stx_rdev_major == 0 && status.stx_rdev_minor == 0;
  }
};

int look(int directory, const char* name, Found& found) {
  found.fd.reset(sys::open(directory, name, O_PATH | O_NOFOLLOW));
  if (found.fd.error() != 0) return -found.fd.error();
  return sys::statAt(found.fd.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, found.status);
}

/** A directory of the layer, the host's of the same name, and the one that is made of both. */
struct Directories {
  int layer;
  int lower;
  int made;
  unsigned depth;
};

class Filling {
 public:
  Filling(const Plan& plan, const file::Overlay& overlay, unsigned attributes)
      : plan_(plan), overlay_(overlay), attributes_(attributes) {
    path_.add(plan.text(overlay.target));
  }

  Result merge(const Directories& at);
  Result giveAttributes(int made, const struct statx& like) const;

 private:
  template <typename Visit>
  Result forEachName(int directory, Visit visit) const;
  Result addFromLayer(const Directories& at, const char* name);
  Result addFromHost(const Directories& at, const char* name);
  Result mergeBelow(const Directories& at, const char* name, const Found& own, const Found& host);
  bool isCarried(const char* name) const;
  Result makeDirectory(int made, const char* name, const struct statx& like, sys::Descriptor& directory) const;
  Result makeFile(int made, const char* name, const Found& file, sys::Descriptor& point) const;
  Result add(int made, const char* name, const Found& found, bool asItIs) const;
  Result failed(Step step, int error) const { return failure(step, plan_.text(overlay_.target), error); }

  const Plan& plan_;
  const file::Overlay& overlay_;
  /** Of the binds: MOUNT_ATTR_…. */
  unsigned attributes_;
  /** Where merge() is. */
  PathText path_;
};

// As deep as maxDepth: NOLINTBEGIN(misc-no-recursion)

/** Calls visit(name) until one fails. */
template <typename Visit>
Result Filling::forEachName(int directory, Visit visit) const {
  const sys::Descriptor reading(sys::open(directory, ".", O_RDONLY | O_DIRECTORY));
  if (reading.error() != 0) return failed(Step::fillSkeleton, reading.error());
  alignas(DirectoryEntry) char buffer[2048];
  for (;;) {
    const long filled = sys::getDirectoryEntries(reading.get(), buffer, sizeof buffer);
    if (filled < 0) return failed(Step::fillSkeleton, static_cast<int>(filled));
    if (filled == 0) return success();
    for (long at = 0; at < filled;) {
      const auto* entry = reinterpret_cast<const DirectoryEntry*>(buffer + at);
      at += entry->length;
      if (equal(entry->name, ".") || equal(entry->name, "..")) continue;
      if (const Result visited = visit(entry->name); !visited.ok()) return visited;
    }
  }
}

Result Filling::merge(const Directories& at) {
  const Result layer = forEachName(at.layer, [&](const char* name) { return addFromLayer(at, name); });
  if (!layer.ok()) return layer;
  return forEachName(at.lower, [&](const char* name) { return addFromHost(at, name); });
}

Result Filling::addFromLayer(const Directories& at, const char* name) {
  Found own;
  if (const int error = look(at.layer, name, own); error < 0) return failed(Step::fillSkeleton, error);
  if (own.isWhiteout() || isCarried(name)) return success();
  if (at.depth == 0 && equal(name, hostDirectory)) {
    sys::Descriptor forHost;
    return makeDirectory(at.made, name, own.status, forHost);
  }
  Found host;
  const int error = look(at.lower, name, host);
  if (error == -ENOENT) return add(at.made, name, own, false);
  if (error < 0) return failed(Step::fillSkeleton, error);
  return own.isDirectory() && host.isDirectory() ? mergeBelow(at, name, own, host) : add(at.made, name, own, false);
}

Result Filling::addFromHost(const Directories& at, const char* name) {
  Found host;
  int error = look(at.lower, name, host);
  // Removed since the directory was read, as happens while packages are upgraded.
  if (error == -ENOENT) return success();
  if (error < 0) return failed(Step::fillSkeleton, error);
  if (isCarried(name)) return add(at.made, name, host, true);
  Found own;
  error = look(at.layer, name, own);
  if (error == -ENOENT) return add(at.made, name, host, false);
  return error < 0 ? failed(Step::fillSkeleton, error) : success();
}

Result Filling::mergeBelow(const Directories& at, const char* name, const Found& own, const Found& host) {
  if (at.depth == maxDepth) return failed(Step::fillSkeleton, ENAMETOOLONG);
  sys::Descriptor made;
  Result result = makeDirectory(at.made, name, own.status, made);
  if (!result.ok()) return result;
  const size_t length = path_.length();
  path_.add('/').add(name);
  if (!path_.fits()) return failed(Step::fillSkeleton, ENAMETOOLONG);
  result = merge({own.fd.get(), host.fd.get(), made.get(), at.depth + 1});
  path_.truncate(length);
  return result;
}

// NOLINTEND(misc-no-recursion)

/**
 * Whether the plan takes along what is mounted at this name: it lies over the layer's, as over an overlay. All else
 * that is mounted here is appc's own, below a launch from inside (restoreHost()), and no more to be seen than below an
 * overlay.
 */
bool Filling::isCarried(const char* name) const {
  for (const file::String& carried : plan_.carried(overlay_)) {
    const char* path = plan_.text(carried);
    if (isStrictlyBelow(path, path_.get()) && equal(path + path_.length() + 1, name)) return true;
  }
  return false;
}

Result Filling::makeDirectory(int made, const char* name, const struct statx& like, sys::Descriptor& directory) const {
  if (const int error = sys::makeDirectory(made, name, 0700); error < 0) return failed(Step::fillSkeleton, error);
  directory.reset(sys::open(made, name, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  if (directory.error() != 0) return failed(Step::fillSkeleton, directory.error());
  return giveAttributes(directory.get(), like);
}

/** An overlay shows the layer's attributes too. */
Result Filling::giveAttributes(int made, const struct statx& like) const {
  int error = sys::changeOwner(made, like.stx_uid, like.stx_gid);
  // In a user namespace there may be no such owner, and a user may give nothing away.
  if (error == -EPERM || error == -EINVAL) error = 0;
  // Only now: chown(2) takes the setgid bit away.
  if (error == 0) error = sys::changeMode(made, ".", like.stx_mode & 07777);
  return error < 0 ? failed(Step::fillSkeleton, error) : success();
}

/** `asItIs`: with the attributes of its own mount, and not read-only. */
Result Filling::add(int made, const char* name, const Found& found, bool asItIs) const {
  sys::Descriptor point;
  const Result result =
      found.isDirectory() ? makeDirectory(made, name, found.status, point) : makeFile(made, name, found, point);
  // While a directory changes it may be told twice of a name.
  if (!result.ok()) return result.error == EEXIST ? success() : result;
  // With the mounts below: without them the kernel refuses it in a user namespace, where they are locked.
  const sys::Descriptor clone(sys::openTree(found.fd.get(), OPEN_TREE_CLONE | AT_RECURSIVE));
  if (clone.error() != 0) return failed(Step::cloneTree, clone.error());
  if (!asItIs) {
    const int error = sys::addMountAttributes(clone.get(), attributes_);
    if (error < 0) return failed(Step::attachMount, error);
  }
  const int error = sys::moveMount(clone.get(), point.get());
  return error < 0 ? failed(Step::attachMount, error) : success();
}

/**
 * What a file is bound to. It is of the file's type, by which readdir(3) tells files from links. A link is bound like
 * any file: a copy would be another inode than the plan's.
 */
Result Filling::makeFile(int made, const char* name, const Found& file, sys::Descriptor& point) const {
  const unsigned type = file.status.stx_mode & S_IFMT;
  int error;
  if (type == S_IFLNK) {
    char text[4096];
    const long length = sys::readlink(file.fd.get(), "", text, sizeof text - 1);
    if (length < 0) return failed(Step::fillSkeleton, static_cast<int>(length));
    text[length] = '\0';
    error = sys::makeLink(text, made, name);
  } else {
    // Devices not everybody may make.
    error = sys::makeNode(made, name, type == S_IFCHR || type == S_IFBLK ? S_IFREG : type);
  }
  if (error < 0) return failed(Step::fillSkeleton, error);
  point.reset(sys::open(made, name, O_PATH | O_NOFOLLOW));
  return point.error() != 0 ? failed(Step::fillSkeleton, point.error()) : success();
}

}  // namespace

Result createSkeleton(const char* target, const char* source, sys::Descriptor& mounted) {
  const sys::Descriptor context(sys::fsopen("tmpfs"));
  if (context.error() != 0) return failure(Step::createSkeleton, target, context.error());
  int error = sys::fsconfig(context.get(), FSCONFIG_SET_STRING, "source", source);
  if (error == 0) error = sys::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr);
  if (error < 0) return failure(Step::createSkeleton, target, error);
  mounted.reset(sys::fsmount(context.get(), 0));
  return mounted.error() != 0 ? failure(Step::createSkeleton, target, mounted.error()) : success();
}

Result fillSkeleton(const Plan& plan, const file::Overlay& overlay, int layer, int lower, int skeleton) {
  const char* target = plan.text(overlay.target);
  struct statx top;
  int error = sys::statAt(layer, "", AT_EMPTY_PATH, STATX_BASIC_STATS, top);
  if (error < 0) return failure(Step::fillSkeleton, target, error);
  const unsigned attributes = attributesOf(lower);
  Filling filling(plan, overlay, attributes);
  Result result = filling.giveAttributes(skeleton, top);
  if (result.ok()) result = filling.merge({layer, lower, skeleton, 0});
  if (!result.ok()) return result;
  error = sys::addMountAttributes(skeleton, attributes);
  return error < 0 ? failure(Step::fillSkeleton, target, error) : success();
}

}  // namespace appc
