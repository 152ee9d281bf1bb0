// What the kernel allows is found by trying, not by its version: limits, seccomp and AppArmor refuse what it could do.
// The attempts are the launcher's own steps, each in a child, which they change for good.
#include <errno.h>

#include "capabilities.h"
#include "child.h"
#include "explain.h"
#include "functions.h"
#include "landlock.h"
#include "mounts.h"
#include "namespaces.h"
#include "private-mounts.h"
#include "resource-limits.h"
#include "seccomp.h"
#include "skeleton.h"
#include "values.h"

namespace appc::addon {
namespace {

/** The directories of an overlay; empty for some of the attempt's own. */
struct Directories {
  const char* layer;
  const char* lower;
};

Result enter() {
  Namespaces namespaces;
  return enterNamespaces(namespaces);
}

/** Over the root directory, which this process goes on seeing as it was: any other place might not exist. */
Result attach(const sys::Descriptor& mounted) {
  const sys::Descriptor root(sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
  const int error = sys::moveMount(mounted.get(), root.get());
  return error < 0 ? failure(Step::attachMount, "/", error) : success();
}

Result openDirectory(int parent, const char* path, sys::Descriptor& directory) {
  directory.reset(sys::openResolved(parent, path, O_PATH | O_DIRECTORY, RESOLVE_NO_MAGICLINKS));
  return directory.error() != 0 ? failure(Step::openDirectory, path, directory.error()) : success();
}

Result makeDirectory(const sys::Descriptor& parent, const char* name, sys::Descriptor& directory) {
  const int error = sys::makeDirectory(parent.get(), name, 0700);
  return error < 0 ? failure(Step::probe, name, error) : openDirectory(parent.get(), name, directory);
}

Result tryUserNamespace() { return unshareAsUser(CLONE_NEWUSER, sys::userId(), sys::groupId()); }

Result tryMountNamespace() { return enter(); }

Result tryOverlay(const Directories& given) {
  sys::Descriptor mounted;
  sys::Descriptor layer;
  sys::Descriptor lower;
  Result result = enter();
  if (result.ok() && *given.layer != '\0') {
    result = openDirectory(AT_FDCWD, given.layer, layer);
    if (result.ok()) result = openDirectory(AT_FDCWD, given.lower, lower);
  } else if (result.ok()) {
    result = createTmpfs("/", "0700", mounted);
    if (result.ok()) result = attach(mounted);
    if (result.ok()) result = makeDirectory(mounted, "layer", layer);
    if (result.ok()) result = makeDirectory(mounted, "lower", lower);
  }
  sys::Descriptor overlay;
  if (!result.ok()) return result;
  return createOverlay(*given.lower == '\0' ? "/" : given.lower, overlaySource, layer.get(), lower.get(), overlay);
}

/** What a skeleton is made of. */
Result tryBinds() {
  Result result = enter();
  sys::Descriptor host;
  if (result.ok()) result = openDirectory(AT_FDCWD, "/", host);
  sys::Descriptor skeleton;
  if (result.ok()) result = createSkeleton("/", overlaySource, skeleton);
  if (result.ok()) result = attach(skeleton);
  sys::Descriptor point;
  if (result.ok()) result = makeDirectory(skeleton, "host", point);
  if (!result.ok()) return result;
  const sys::Descriptor clone(sys::openTree(host.get(), OPEN_TREE_CLONE | AT_RECURSIVE));
  if (clone.error() != 0) return failure(Step::cloneTree, "/", clone.error());
  int error = sys::addMountAttributes(clone.get(), MOUNT_ATTR_RDONLY);
  if (error == 0) error = sys::moveMount(clone.get(), point.get());
  return error < 0 ? failure(Step::attachMount, "/", error) : success();
}

/** What `appc refresh` exchanges overlays by. */
Result tryExchange() {
  Result result = enter();
  sys::Descriptor scratch;
  sys::Descriptor place;
  sys::Descriptor old;
  sys::Descriptor fresh;
  if (result.ok()) result = createTmpfs("/", "0700", scratch);
  if (result.ok()) result = attach(scratch);
  if (result.ok()) result = makeDirectory(scratch, "place", place);
  if (result.ok()) result = createTmpfs("/place", "0700", old);
  if (result.ok()) result = createTmpfs("/place", "0700", fresh);
  if (!result.ok()) return result;
  int error = sys::moveMount(old.get(), place.get());
  if (error < 0) return failure(Step::attachMount, "/place", error);
  error = sys::moveMountBeneath(fresh.get(), old.get());
  return error < 0 ? failure(Step::renewOverlay, "/place", error) : success();
}

/** The parts of a confinement. */

Result tryProcesses() {
  if (const Result entered = enter(); !entered.ok()) return entered;
  static Told told;
  told = inChild(
      [] {
        sys::Descriptor root;
        const Result opened = openDirectory(AT_FDCWD, "/", root);
        return Told(opened.ok() ? mountProcesses(root.get(), false) : opened);
      },
      CLONE_NEWPID | CLONE_NEWNS);
  return told.result();
}

Result tryOtherNamespaces() {
  if (const Result entered = enter(); !entered.ok()) return entered;
  const int error = sys::unshare(CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET);
  return error < 0 ? failure(Step::openNamespace, "ipc, uts, net", error) : success();
}

Result tryFilter() {
  const Result forbidden = forbidNewPrivileges();
  return forbidden.ok() ? filterSystemCalls() : forbidden;
}

Result tryLandlock() {
  const Result forbidden = forbidNewPrivileges();
  return forbidden.ok() ? restrictByLandlock(nullptr, 0, false, false) : forbidden;
}

Result tryGroup(const GroupLimits& limits) {
  ControlGroup group;
  if (const Result made = group.make(limits, sys::processId()); !made.ok()) return made;
  const int error = group.remove();
  return error < 0 ? failure(Step::makeCgroup, nullptr, error) : success();
}

Result tryMemoryLimit() { return tryGroup({1ULL << 40, 0, 0}); }

Result tryProcessLimit() { return tryGroup({0, 1U << 20, 0}); }

Result tryProcessorLimit() { return tryGroup({0, 0, 1000}); }

struct Attempt {
  const char* name;
  Result (*run)();
};

// All but the overlay, in the order of Attempt in lib/launch/addon.ts.
constexpr Attempt attempts[] = {
    {"userNamespace", tryUserNamespace},
    {"mountNamespace", tryMountNamespace},
    {"binds", tryBinds},
    {"exchange", tryExchange},
    {"processes", tryProcesses},
    {"otherNamespaces", tryOtherNamespaces},
    {"seccomp", tryFilter},
    {"landlock", tryLandlock},
    {"memoryLimit", tryMemoryLimit},
    {"processLimit", tryProcessLimit},
    {"processorLimit", tryProcessorLimit},
};

Napi::Value toValue(const Napi::Env& env, const Told& told) {
  const Result result = told.result();
  return result.ok() ? env.Null() : toError(env, result).Value();
}

}  // namespace

Napi::Value probe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::string name;
  std::string layer;
  std::string lower;
  if (!toText(env, info[0], "attempt", name)) return env.Undefined();
  if (!info[1].IsUndefined() && !toText(env, info[1], "layer", layer)) return env.Undefined();
  if (!info[2].IsUndefined() && !toText(env, info[2], "lower", lower)) return env.Undefined();
  const Directories directories = {layer.c_str(), lower.c_str()};
  if (name == "overlay") return toValue(env, inChild([&] { return Told(tryOverlay(directories)); }));
  for (const Attempt& attempt : attempts) {
    if (name == attempt.name) return toValue(env, inChild([&] { return Told(attempt.run()); }));
  }
  Napi::TypeError::New(env, "attempt must be one that there is").ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Value landlockVersionOf(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(landlockVersion()));
}

}  // namespace appc::addon
