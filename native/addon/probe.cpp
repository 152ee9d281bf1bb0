// What the kernel allows is found by trying, not by its version: limits, seccomp and AppArmor refuse what it could do.
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "explain.h"
#include "functions.h"
#include "mounts.h"
#include "namespaces.h"
#include "sys.h"
#include "values.h"

namespace appc::addon {
namespace {

struct Findings {
  Result userNamespace;
  Result launch;
};

/** A file system of the child's own with two directories, laid over each other. Nothing of it outlives the child. */
Result tryOverlay() {
  const char* type = "tmpfs";
  const sys::Descriptor context(sys::fsopen(type));
  if (context.error() != 0) return failure(Step::createOverlay, nullptr, context.error());
  int error = sys::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr);
  if (error < 0) return failure(Step::createOverlay, nullptr, error);
  const sys::Descriptor mounted(sys::fsmount(context.get(), 0));
  if (mounted.error() != 0) return failure(Step::createOverlay, nullptr, mounted.error());
  const sys::Descriptor root(sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
  // Over the root directory, which this process goes on seeing as it was: any other place might not exist.
  error = sys::moveMount(mounted.get(), root.get());
  if (error < 0) return failure(Step::attachMount, nullptr, error);
  sys::call(SYS_mkdirat, mounted.get(), sys::word("layer"), 0700);
  sys::call(SYS_mkdirat, mounted.get(), sys::word("lower"), 0700);
  const sys::Descriptor layer(sys::open(mounted.get(), "layer", O_PATH | O_DIRECTORY));
  const sys::Descriptor lower(sys::open(mounted.get(), "lower", O_PATH | O_DIRECTORY));
  sys::Descriptor overlay;
  return createOverlay(nullptr, overlaySource, layer.get(), lower.get(), overlay);
}

/** In a child: a process with threads, as Node is, may not enter a user namespace. Raw system calls only. */
[[noreturn]] void tryInChild(int findingsPipe) {
  Findings findings;
  // Asked on its own, as root would not need it.
  const long second = sys::call(SYS_clone, SIGCHLD);
  if (second == 0) {
    const int error = sys::unshare(CLONE_NEWUSER);
    sys::exit(-error);
  }
  int status = 0;
  sys::call(SYS_wait4, second, sys::word(&status), 0, 0);
  if (status != 0) findings.userNamespace = failure(Step::unshareUser, nullptr, WEXITSTATUS(status));
  Namespaces namespaces;
  findings.launch = enterNamespaces(namespaces);
  if (findings.launch.ok()) findings.launch = tryOverlay();
  sys::write(findingsPipe, &findings, sizeof findings);
  sys::exit(0);
}

Napi::Value toValue(const Napi::Env& env, const Result& result) {
  return result.ok() ? env.Null() : Napi::String::New(env, errorName(result.error));
}

}  // namespace

Napi::Value probe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int ends[2];
  if (const long error = sys::call(SYS_pipe2, sys::word(ends), O_CLOEXEC); error < 0) {
    toError(env, failure(Step::probe, nullptr, static_cast<int>(error))).ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const sys::Descriptor reading(ends[0]);
  sys::Descriptor writing(ends[1]);
  const long child = sys::call(SYS_clone, SIGCHLD);
  if (child == 0) tryInChild(writing.get());
  Findings findings;
  long count = child;
  if (child > 0) {
    writing.reset(-1);
    count = sys::read(reading.get(), &findings, sizeof findings);
    sys::call(SYS_wait4, child, 0, 0, 0);
  }
  if (count != sizeof findings) {
    toError(env, failure(Step::probe, nullptr, static_cast<int>(count < 0 ? count : -EIO)))
        .ThrowAsJavaScriptException();
    return env.Undefined();
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("userNamespace", toValue(env, findings.userNamespace));
  out.Set("overlay", toValue(env, findings.launch));
  return out;
}

}  // namespace appc::addon
