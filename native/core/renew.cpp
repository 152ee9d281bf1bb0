#include "renew.h"

#include <errno.h>

#include "guards.h"

namespace appc {
namespace {

int openRoot() { return sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY); }

int openAt(int root, const char* path) {
  constexpr uint64_t strictly = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return sys::openResolved(root, path, O_PATH | O_DIRECTORY, strictly);
}

}  // namespace

Result Renewal::run(const Plan& plan, const char* source, int mountNamespace) {
  Result result = prepare(plan, source);
  if (!result.ok()) return result;
  if (const int error = sys::joinNamespace(mountNamespace, CLONE_NEWNS); error < 0) {
    return failure(Step::joinNamespace, nullptr, error);
  }
  result = openOld(plan);
  return result.ok() ? exchange(plan) : result;
}

/**
 * In a copy of the container's mounts, where nobody looks: as a launch from inside of the container would do it. In
 * place, the new overlays could be filled only when they are attached already (before Linux 6.15), and then not be
 * taken away again without those on top of them.
 */
Result Renewal::prepare(const Plan& plan, const char* source) {
  if (const int error = sys::unshare(CLONE_NEWNS); error < 0) return failure(Step::unshareMounts, nullptr, error);
  const sys::Descriptor root(openRoot());
  if (root.error() != 0) return failure(Step::openDirectory, "/", root.error());
  if (const int error = sys::changePropagation(root.get(), MS_SLAVE); error < 0) {
    return failure(Step::makeSlave, "/", error);
  }
  Namespaces namespaces;
  namespaces.entered = true;
  bool restored = false;
  Result result = uncover(root.get());
  if (result.ok()) result = table_.load();
  if (result.ok()) result = restoreHost(table_, namespaces, restored);
  if (result.ok()) result = table_.load();
  if (result.ok()) result = checkCarried(plan, table_);
  if (result.ok()) result = overlays_.open(plan, root.get());
  if (result.ok()) result = overlays_.mount(plan, root.get(), source);
  if (result.ok()) result = checkThroughView(plan, AT_FDCWD);
  for (uint32_t i = 0; result.ok() && i < plan.overlays().count; ++i) {
    new_[i].reset(sys::openTree(overlays_.mounted(i), OPEN_TREE_CLONE | AT_RECURSIVE));
    if (new_[i].error() != 0) result = failure(Step::cloneTree, plan.text(plan.overlays()[i].target), new_[i].error());
  }
  return result;
}

/** The store may lie below a directory that is the program's own inside: a home directory, /tmp. */
Result Renewal::uncover(int root) {
  if (const Result loaded = table_.load(); !loaded.ok()) return loaded;
  Result result = success();
  const Result read = table_.forEach([&](const Mount& mount) {
    // Gone with the one that it lay in.
    if (!mount.isPrivate || !isVisible(mount) || !result.ok()) return;
    const sys::Descriptor covering(openAt(root, mount.point.get()));
    const int error = covering.error() != 0 ? -covering.error() : sys::detach(covering.get());
    if (error < 0) result = failure(Step::renewOverlay, nullptr, error);
  });
  return read.ok() ? result : read;
}

/** Whatever else lies on a target, by whoever mounted it, is not ours to take away. */
Result Renewal::openOld(const Plan& plan) {
  const sys::Descriptor root(openRoot());
  if (root.error() != 0) return failure(Step::openDirectory, "/", root.error());
  if (const Result loaded = table_.load(); !loaded.ok()) return loaded;
  for (uint32_t i = 0; i < plan.overlays().count; ++i) {
    const char* target = plan.text(plan.overlays()[i].target);
    old_[i].reset(openAt(root.get(), target));
    if (old_[i].error() != 0) return failure(Step::openDirectory, target, old_[i].error());
    struct statx status;
    const int error = sys::statAt(old_[i].get(), "", AT_EMPTY_PATH, STATX_MNT_ID, status);
    if (error < 0) return failure(Step::openDirectory, target, error);
    bool ours = false;
    const Result read = table_.forEach([&](const Mount& mount) {
      ours = ours || (mount.ours && mount.id == status.stx_mnt_id && equal(mount.point.get(), target));
    });
    if (!read.ok()) return read;
    if (!ours) return failure(Step::checkMounts, target, 0);
  }
  return success();
}

/** mount_namespaces(7), move_mount(2): what is mounted beneath comes to be seen when what lies on top is detached. */
Result Renewal::exchange(const Plan& plan) {
  const uint32_t count = plan.overlays().count;
  Result result = success();
  uint32_t attached = 0;
  for (; attached < count && result.ok(); ++attached) {
    const int error = sys::moveMountBeneath(new_[attached].get(), old_[attached].get());
    if (error < 0) result = failure(Step::renewOverlay, plan.text(plan.overlays()[attached].target), error);
  }
  // The one that failed is not there. Those before it cannot be taken back, and need not be: each is as good alone.
  if (!result.ok()) --attached;
  for (uint32_t i = 0; i < attached; ++i) {
    const int error = sys::detach(old_[i].get());
    if (error < 0 && result.ok()) result = failure(Step::renewOverlay, plan.text(plan.overlays()[i].target), error);
  }
  return result;
}

}  // namespace appc
