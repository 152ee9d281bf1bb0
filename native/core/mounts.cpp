#include "mounts.h"

#include <errno.h>

#include "guards.h"
#include "mount-id.h"
#include "skeleton.h"
#include "text.h"

namespace appc {
namespace {

constexpr uint64_t strictly = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;

int openStrictly(int viewRoot, const char* path, int flags) {
  return sys::openResolved(viewRoot, path, O_PATH | flags, RESOLVE_IN_ROOT | strictly);
}

int cloneTree(int fd) { return sys::openTree(fd, OPEN_TREE_CLONE | AT_RECURSIVE); }

/** Below another carried mount, whose recursive clone brings this one along. */
bool comesWithAnother(const Plan& plan, const file::Overlay& overlay, const char* path) {
  for (const file::String& other : plan.carried(overlay)) {
    if (isStrictlyBelow(path, plan.text(other))) return true;
  }
  return false;
}

/** Then it is the other's directory that is to be covered. */
bool isBelowAnother(const Plan& plan, uint32_t index) {
  const char* target = plan.text(plan.overlays()[index].target);
  for (uint32_t i = 0; i < index; ++i) {
    if (isStrictlyBelow(target, plan.text(plan.overlays()[i].target))) return true;
  }
  return false;
}

int configureOverlay(int context, const char* source, int layer, int lower) {
  // Without an upper directory it is read-only anyhow.
  int error = sys::fsconfig(context, FSCONFIG_SET_STRING, "source", source);
  // Needed in a user namespace.
  if (error == 0) error = sys::fsconfig(context, FSCONFIG_SET_FLAG, "userxattr", nullptr);
  // Inode numbers stay the file's own, also when layer and host lie on two file systems: checkThroughView() compares
  // them.
  if (error == 0) error = sys::fsconfig(context, FSCONFIG_SET_STRING, "xino", "off");
  if (error == 0) error = sys::setLowerDirectories(context, layer, lower);
  return error;
}

}  // namespace

unsigned attributesOf(int lower) {
  struct statfs status;
  unsigned attributes = MOUNT_ATTR_RDONLY;
  if (sys::statfs(lower, status) < 0) return attributes | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  const auto flags = static_cast<unsigned long>(status.f_flags);
  constexpr unsigned long noSuid = 2;  // ST_NOSUID, ST_NODEV, ST_NOEXEC of statfs(2)
  constexpr unsigned long noDev = 4;
  constexpr unsigned long noExec = 8;
  if ((flags & noSuid) != 0) attributes |= MOUNT_ATTR_NOSUID;
  if ((flags & noDev) != 0) attributes |= MOUNT_ATTR_NODEV;
  if ((flags & noExec) != 0) attributes |= MOUNT_ATTR_NOEXEC;
  return attributes;
}

Result createOverlay(const char* target, const char* source, int layer, int lower, sys::Descriptor& mounted) {
  const sys::Descriptor context(sys::fsopen("overlay"));
  if (context.error() != 0) return failure(Step::createOverlay, target, context.error());
  int error = configureOverlay(context.get(), source, layer, lower);
  if (error < 0) return failure(Step::configureOverlay, target, error);
  error = sys::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr);
  if (error < 0) return failure(Step::mountOverlay, target, error);
  mounted.reset(sys::fsmount(context.get(), attributesOf(lower)));
  return mounted.error() != 0 ? failure(Step::mountOverlay, target, mounted.error()) : success();
}

bool isOverlayRefused(const Result& result) {
  switch (result.error) {
    case ENODEV:      // no such file system
    case EPERM:       // not in a user namespace
    case EACCES:      // a security module's answer
    case EINVAL:      // stacked too deep, mounts below that are locked, a file system that overlayfs does not take
    case EOPNOTSUPP:  // the like
    case ELOOP:       // the layer lies in the directory
      return true;
    default:
      // Nothing weaker may stand in where memory or a disk fails: the next launch would be another one.
      return false;
  }
}

Result Overlays::open(const Plan& plan, int viewRoot) {
  for (uint32_t i = 0; i < plan.overlays().count; ++i) {
    const file::Overlay& overlay = plan.overlays()[i];
    const char* target = plan.text(overlay.target);
    const char* layer = plan.text(overlay.layer);
    lower_[i].reset(openStrictly(viewRoot, target, O_DIRECTORY));
    if (lower_[i].error() != 0) return failure(Step::openDirectory, target, lower_[i].error());
    layer_[i].reset(sys::openResolved(AT_FDCWD, layer, O_PATH | O_DIRECTORY, strictly));
    if (layer_[i].error() != 0) return failure(Step::openDirectory, layer, layer_[i].error());
    host_[i].reset(cloneTree(lower_[i].get()));
    if (host_[i].error() != 0) return failure(Step::cloneTree, target, host_[i].error());
    for (uint32_t j = 0; j < overlay.carriedCount; ++j) {
      const char* path = plan.text(plan.carried(overlay)[j]);
      if (comesWithAnother(plan, overlay, path)) continue;
      const sys::Descriptor mountPoint(openStrictly(viewRoot, path, 0));
      if (mountPoint.error() != 0) return failure(Step::openDirectory, path, mountPoint.error());
      sys::Descriptor& clone = carried_[overlay.firstCarried + j];
      clone.reset(cloneTree(mountPoint.get()));
      if (clone.error() != 0) return failure(Step::cloneTree, path, clone.error());
    }
  }
  return checkLayers(plan);
}

Result Overlays::mount(const Plan& plan, int viewRoot, const char* source) {
  for (uint32_t i = 0; i < plan.overlays().count; ++i) {
    if (const Result result = mountOne(plan, i, viewRoot, source); !result.ok()) return result;
  }
  return success();
}

Result Overlays::mountOne(const Plan& plan, uint32_t index, int viewRoot, const char* source) {
  const file::Overlay& overlay = plan.overlays()[index];
  const char* target = plan.text(overlay.target);
  sys::Descriptor& mounted = mounted_[index];
  const int layer = layer_[index].get();
  const int lower = lower_[index].get();
  Result result = createOverlay(target, source, layer, lower, mounted);
  const bool isSkeleton = isOverlayRefused(result);
  if (isSkeleton) result = createSkeleton(target, source, mounted);
  if (!result.ok()) return result;

  sys::Descriptor covered;
  if (isBelowAnother(plan, index)) {
    covered.reset(openStrictly(viewRoot, target, O_DIRECTORY));
    if (covered.error() != 0) return failure(Step::openDirectory, target, covered.error());
  }
  int error = sys::moveMount(mounted.get(), covered.get() < 0 ? lower : covered.get());
  if (error < 0) return failure(Step::attachMount, target, error);
  mountedCount_ = index + 1;
  if (isSkeleton) result = fillSkeleton(plan, overlay, layer, lower, mounted.get());
  if (!result.ok()) return result;

  const sys::Descriptor host(sys::openResolved(mounted.get(), hostDirectory, O_PATH | O_DIRECTORY, strictly));
  if (host.error() != 0) return failure(Step::openDirectory, plan.text(overlay.layer), host.error());
  error = sys::moveMount(host_[index].get(), host.get());
  if (error < 0) return failure(Step::attachMount, target, error);
  return isSkeleton ? success() : putBack(plan, overlay, viewRoot);
}

Result Overlays::putBack(const Plan& plan, const file::Overlay& overlay, int viewRoot) {
  for (uint32_t i = 0; i < overlay.carriedCount; ++i) {
    const int clone = carried_[overlay.firstCarried + i].get();
    if (clone < 0) continue;
    const char* path = plan.text(plan.carried(overlay)[i]);
    const sys::Descriptor mountPoint(openStrictly(viewRoot, path, 0));
    if (mountPoint.error() != 0) return failure(Step::openDirectory, path, mountPoint.error());
    if (const int error = sys::moveMount(clone, mountPoint.get()); error < 0)
      return failure(Step::attachMount, path, error);
  }
  return success();
}

Result Overlays::checkNothingBelow(const Plan& plan) const {
  for (uint32_t i = 0; i < plan.overlays().count; ++i) {
    // With the directory, all that was mounted in it was cloned.
    const Result result = checkNothingMounted(host_[i].get(), plan.text(plan.overlays()[i].target));
    if (!result.ok()) return result;
  }
  return success();
}

void Overlays::remove() {
  while (mountedCount_ > 0) sys::detach(mounted_[--mountedCount_].get());
}

}  // namespace appc
