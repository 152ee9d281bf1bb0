#include <errno.h>

#include <memory>

#include "functions.h"
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

}  // namespace appc::addon
