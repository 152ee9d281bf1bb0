#include <errno.h>

#include <memory>
#include <string>

#include "cpu.h"
#include "functions.h"
#include "known-host.h"
#include "mountinfo.h"
#include "values.h"

namespace appc::addon {

Napi::Value mountPoints(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Array points = Napi::Array::New(env);
  const auto table = std::make_unique<MountTable>();
  HostMounts host;
  bool fits = true;
  Result result = table->load();
  if (result.ok()) {
    result = table->forEach([&](const Mount& mount) {
      fits = host.note(mount) && fits;
      if (host.has(mount)) points.Set(points.Length(), Napi::String::New(env, mount.point.get()));
    });
  }
  if (result.ok() && !fits) result = failure(Step::readMounts, nullptr, EOVERFLOW);
  if (result.ok()) return points;
  toError(env, result).ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Value describeHost(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto table = std::make_unique<MountTable>();
  bool isBare = true;
  Result result = table->load();
  if (result.ok()) result = table->forEach([&](const Mount& mount) { isBare = isBare && !mount.ours; });
  if (!result.ok()) {
    toError(env, result).ThrowAsJavaScriptException();
    return env.Undefined();
  }
  Text<64> description;
  if (!isBare || !appc::describeHost(description)) return env.Null();
  return Napi::String::New(env, std::string(description.get()) + std::to_string(cpuLevel()));
}

}  // namespace appc::addon
