#include "renew.h"

#include <errno.h>

#include <memory>

#include "functions.h"
#include "guards.h"
#include "join.h"
#include "process.h"
#include "values.h"

namespace appc::addon {
namespace {

/** A Result whose path is still there when the child is not. */
struct Told {
  Step step = Step::none;
  int error = 0;
  bool hasPath = false;
  char path[4096] = {};

  Told() = default;
  explicit Told(const Result& result) : step(result.step), error(result.error), hasPath(result.path != nullptr) {
    if (!hasPath) return;
    const size_t length = strnlen(result.path, sizeof path - 1);
    memcpy(path, result.path, length);
  }
  Result result() const { return {step, hasPath ? path : nullptr, error}; }
};

struct Request {
  std::string source;
  /** To be entered, a user namespace first. */
  std::vector<int> namespaces;
  int mountNamespace = -1;
};

/** What the child needs, made before it starts: it may not allocate. */
struct Child {
  const Plan& plan;
  const Request& request;
  std::unique_ptr<Renewal> renewal = std::make_unique<Renewal>();

  [[noreturn]] void run(int pipe) const {
    bool forksAway = false;
    Result result = joinNamespaces(request.namespaces.data(), request.namespaces.size(), forksAway);
    // The /proc inside knows but the processes of its own PID namespace, and a child of this one is the first to be in
    // it.
    if (result.ok() && forksAway) {
      const int child = sys::fork();
      if (child > 0) {
        int status = 0;
        while (sys::wait(child, status, 0) == -EINTR) continue;
        sys::exit(0);
      }
      if (child < 0) result = failure(Step::startProcess, nullptr, child);
    }
    if (result.ok()) result = renewal->run(plan, request.source.c_str(), request.mountNamespace);
    const Told told(result);
    sys::write(pipe, &told, sizeof told);
    sys::exit(0);
  }
};

/** In a child, as a process with threads may not enter a user namespace. Raw system calls only. */
Told renewInChild(const Child& child) {
  int ends[2];
  const long error = sys::call(SYS_pipe2, sys::word(ends), O_CLOEXEC);
  if (error < 0) return Told(failure(Step::startProcess, nullptr, static_cast<int>(error)));
  const sys::Descriptor reading(ends[0]);
  sys::Descriptor writing(ends[1]);
  const int pid = sys::fork();
  if (pid < 0) return Told(failure(Step::startProcess, nullptr, pid));
  if (pid == 0) child.run(writing.get());
  writing.reset(-1);
  Told told;
  size_t filled = 0;
  while (filled < sizeof told) {
    const long count = sys::read(reading.get(), reinterpret_cast<char*>(&told) + filled, sizeof told - filled);
    if (count == -EINTR) continue;
    if (count <= 0) break;
    filled += static_cast<size_t>(count);
  }
  int status = 0;
  while (sys::wait(pid, status, 0) == -EINTR) continue;
  return filled == sizeof told ? told : Told(failure(Step::startProcess, nullptr, EIO));
}

/** A plan file's bytes, aligned as decoding wants them. */
class PlanBytes {
 public:
  /** Throws a TypeError in JavaScript when it is no Uint8Array. */
  bool take(const Napi::CallbackInfo& info, size_t index) {
    Napi::Uint8Array bytes;
    if (!toArray(info, index, napi_uint8_array, "plan", bytes)) return false;
    size_ = bytes.ByteLength();
    words_.resize((size_ + 7) / 8);
    memcpy(words_.data(), bytes.Data(), size_);
    return true;
  }
  Result decode(Plan& plan) const { return Plan::decode(words_.data(), size_, plan); }

 private:
  std::vector<uint64_t> words_;
  size_t size_ = 0;
};

}  // namespace

Napi::Value checkView(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  PlanBytes bytes;
  int root = -1;
  if (!bytes.take(info, 0) || !toDescriptor(info, 1, root)) return env.Undefined();
  Plan plan;
  Result result = bytes.decode(plan);
  if (result.ok()) result = checkThroughView(plan, root);
  if (result.ok()) return env.Null();
  if (result.step == Step::checkView) return Napi::String::New(env, result.path);
  toError(env, result).ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Value renewOverlays(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  PlanBytes bytes;
  Request request;
  if (!bytes.take(info, 0) || !toText(env, info[1], "source", request.source) ||
      !toDescriptors(env, info[2], request.namespaces) || !toDescriptor(info, 3, request.mountNamespace)) {
    return env.Undefined();
  }
  Plan plan;
  const Result decoded = bytes.decode(plan);
  const Told told = decoded.ok() ? renewInChild({plan, request}) : Told(decoded);
  if (!told.result().ok()) toError(env, told.result()).ThrowAsJavaScriptException();
  return env.Undefined();
}

}  // namespace appc::addon
