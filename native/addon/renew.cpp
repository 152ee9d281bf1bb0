#include "renew.h"

#include <errno.h>

#include <memory>

#include "child.h"
#include "functions.h"
#include "guards.h"
#include "join.h"
#include "values.h"

namespace appc::addon {
namespace {

struct Request {
  std::string source;
  /** To be entered, a user namespace first. */
  std::vector<int> namespaces;
  int mountNamespace = -1;
};

/** What the child needs is made before it starts: it may not allocate. */
Told renewInChild(const Plan& plan, const Request& request) {
  const auto renewal = std::make_unique<Renewal>();
  const auto renew = [&] { return Told(renewal->run(plan, request.source.c_str(), request.mountNamespace)); };
  return inChild([&] {
    bool forksAway = false;
    const Result joined = joinNamespaces(request.namespaces.data(), request.namespaces.size(), forksAway);
    if (!joined.ok()) return Told(joined);
    // The /proc inside knows but the processes of its own PID namespace, and a child of this one is the first to be in
    // it.
    return forksAway ? inChild(renew) : renew();
  });
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
  const Told told = decoded.ok() ? renewInChild(plan, request) : Told(decoded);
  if (!told.result().ok()) toError(env, told.result()).ThrowAsJavaScriptException();
  return env.Undefined();
}

}  // namespace appc::addon
