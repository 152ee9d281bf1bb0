// The same system call on many files in one crossing from JavaScript: some thousand files are looked at in one go, and
// a crossing with its strings and objects costs more than the call. Nothing of what is read is interpreted here.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
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

/** As much of each file as is asked for before it is read; the rest comes as it is read, in order. */
constexpr off_t bytesAhead = 8 << 20;

/**
 * What the page cache has of a file is dropped, so that what is read is what the disk has, and the disk begins to read.
 * Pages that are mapped, or not written yet, stay: posix_fadvise(2). It only saves time or tells more, so how it fails
 * does not matter.
 */
void readFromDisk(int fd, off_t size) {
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  ::posix_fadvise(fd, 0, std::min(size, bytesAhead), POSIX_FADV_WILLNEED);
}

}  // namespace

Napi::Value listMany(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<std::string> paths;
  if (!toTexts(env, info[0], "path", paths)) return env.Undefined();
  auto counts = Napi::Int32Array::New(env, paths.size());
  std::string names;
  std::vector<uint64_t> rows;
  for (size_t i = 0; i < paths.size(); ++i) {
    const size_t namesBefore = names.size();
    const size_t rowsBefore = rows.size();
    counts[i] = listDirectory(paths[i].c_str(), names, rows);
    if (counts[i] >= 0) continue;
    names.resize(namesBefore);
    rows.resize(rowsBefore);
  }
  auto stats = Napi::BigUint64Array::New(env, rows.size());
  std::copy(rows.begin(), rows.end(), stats.Data());
  Napi::Object result = Napi::Object::New(env);
  result.Set("counts", counts);
  result.Set("names", Napi::String::New(env, names));
  result.Set("stats", stats);
  return result;
}

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

Napi::Value openMany(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<std::string> paths;
  if (!toTexts(env, info[0], "path", paths)) return env.Undefined();
  if (!info[1].IsBoolean()) {
    Napi::TypeError::New(env, "fromDisk must be a boolean").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const bool fromDisk = info[1].As<Napi::Boolean>().Value();
  auto descriptors = Napi::Int32Array::New(env, paths.size());
  auto stats = Napi::BigUint64Array::New(env, paths.size() * columns);
  for (size_t i = 0; i < paths.size(); ++i) {
    uint64_t* row = stats.Data() + i * columns;
    descriptors[i] = openRegular(paths[i].c_str(), row);
    if (descriptors[i] >= 0 && fromDisk) readFromDisk(descriptors[i], static_cast<off_t>(row[sizeColumn]));
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("descriptors", descriptors);
  result.Set("stats", stats);
  return result;
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
