// The same system call on many files in one crossing from JavaScript: some thousand files are looked at in one go, and
// a crossing with its strings and objects costs more than the call. Nothing of what is read is interpreted here.
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#include "functions.h"
#include "look.h"
#include "values.h"
#include "xxhash32.h"

namespace appc::addon {
namespace {

Napi::Value refuseSizes(const Napi::Env& env) {
  Napi::RangeError::New(env, "the ranges do not fit the descriptors and the buffer").ThrowAsJavaScriptException();
  return env.Undefined();
}

}  // namespace

Napi::Value lstatMany(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<std::string> paths;
  if (!toTexts(env, info[0], "path", paths)) return env.Undefined();
  auto stats = Napi::BigUint64Array::New(env, paths.size() * columns);
  for (size_t i = 0; i < paths.size(); ++i) {
    struct stat stat;
    uint64_t* row = stats.Data() + i * columns;
    if (::lstat(paths[i].c_str(), &stat) == 0) {
      describe(stat, row);
    } else {
      row[0] = static_cast<uint64_t>(errno);
    }
  }
  return stats;
}

Napi::Value readMany(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Int32Array descriptors;
  Napi::Float64Array positions;
  Napi::Uint32Array starts;
  Napi::Uint8Array buffer;
  if (!toArray(info, 0, napi_int32_array, "descriptors", descriptors) ||
      !toArray(info, 1, napi_float64_array, "positions", positions) ||
      !toArray(info, 2, napi_uint32_array, "starts", starts) || !toArray(info, 3, napi_uint8_array, "buffer", buffer)) {
    return env.Undefined();
  }
  const size_t count = descriptors.ElementLength();
  if (positions.ElementLength() != count || starts.ElementLength() != count + 1) return refuseSizes(env);
  for (size_t i = 0; i < count; ++i) {
    const bool sound = positions[i] >= 0 && positions[i] <= 9007199254740991.0 && starts[i] <= starts[i + 1] &&
                       starts[i + 1] <= buffer.ElementLength() && starts[i + 1] - starts[i] <= INT32_MAX;
    if (!sound) return refuseSizes(env);
  }
  auto counts = Napi::Int32Array::New(env, count);
  for (size_t i = 0; i < count; ++i) {
    const size_t length = starts[i + 1] - starts[i];
    counts[i] = length == 0
                    ? 0
                    : readFully(descriptors[i], buffer.Data() + starts[i], length, static_cast<off_t>(positions[i]));
  }
  return counts;
}

Napi::Value closeMany(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Int32Array descriptors;
  if (!toArray(info, 0, napi_int32_array, "descriptors", descriptors)) return env.Undefined();
  for (size_t i = 0; i < descriptors.ElementLength(); ++i) {
    if (descriptors[i] >= 0) ::close(descriptors[i]);
  }
  return env.Undefined();
}

Napi::Value xxHash32Of(const Napi::CallbackInfo& info) {
  Napi::Uint8Array bytes;
  if (!toArray(info, 0, napi_uint8_array, "bytes", bytes)) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), xxHash32(bytes.Data(), bytes.ByteLength()));
}

}  // namespace appc::addon
