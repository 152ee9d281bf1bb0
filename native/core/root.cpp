#include "root.h"

#include "text.h"

namespace appc {

Result RootTree::mount(const char* directory) {
  directory_ = directory;
  const sys::Descriptor original(
      sys::openResolved(AT_FDCWD, directory, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS));
  if (original.error() != 0) return failure(Step::openDirectory, directory, original.error());
  tree_.reset(sys::openTree(original.get(), OPEN_TREE_CLONE | AT_RECURSIVE));
  if (tree_.error() != 0) return failure(Step::cloneTree, directory, tree_.error());
  const int error = sys::moveMount(tree_.get(), original.get());
  return error < 0 ? failure(Step::attachMount, directory, error) : success();
}

Result RootTree::enter() {
  const int error = sys::pivotRoot(tree_.get());
  return error < 0 ? failure(Step::changeRoot, directory_, error) : success();
}

void RootTree::remove() {
  if (tree_.get() >= 0) sys::detach(tree_.get());
}

Result bindInto(const Plan& plan, int viewRoot) {
  for (const file::Bind& bind : plan.binds()) {
    const char* source = plan.text(bind.source);
    const char* target = plan.text(bind.target);
    const sys::Descriptor from(sys::openResolved(AT_FDCWD, source, O_PATH, RESOLVE_NO_MAGICLINKS));
    if (from.error() != 0) return failure(Step::openDirectory, source, from.error());
    const sys::Descriptor to(sys::openResolved(viewRoot, target, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS));
    if (to.error() != 0) return failure(Step::openDirectory, target, to.error());
    const sys::Descriptor clone(sys::openTree(from.get(), OPEN_TREE_CLONE | AT_RECURSIVE));
    if (clone.error() != 0) return failure(Step::cloneTree, source, clone.error());
    if (const int error = sys::moveMount(clone.get(), to.get()); error < 0) {
      return failure(Step::attachMount, target, error);
    }
  }
  return success();
}

}  // namespace appc
