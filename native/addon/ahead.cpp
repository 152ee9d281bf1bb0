// Files opened, and their first bytes read, by a thread, while JavaScript looks at those before: half of the time that
// many files take is the kernel's.
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "functions.h"
#include "look.h"
#include "values.h"

namespace appc::addon {
namespace {

/** Files that are being opened. Whoever does not take their descriptors has them closed with it. */
class Opening {
 public:
  Opening(std::vector<std::string> paths, Napi::Uint8Array heads, size_t headBytes)
      : paths_(std::move(paths)),
        headBytes_(headBytes),
        heads_(Napi::Persistent(heads.As<Napi::Object>())),
        bytes_(heads.Data()),
        rows_(paths_.size() * columns),
        descriptors_(paths_.size(), -ECANCELED),
        counts_(paths_.size()) {
    // Where there is no thread to be had, it is done here.
    running_ = ::pthread_create(&thread_, nullptr, &Opening::start, this) == 0;
    if (!running_) run();
  }

  ~Opening() {
    wait();
    for (const int fd : descriptors_) {
      if (fd >= 0) ::close(fd);
    }
  }

  Opening(const Opening&) = delete;
  Opening& operator=(const Opening&) = delete;

  Napi::Value take(const Napi::Env& env) {
    wait();
    auto descriptors = Napi::Int32Array::New(env, descriptors_.size());
    auto counts = Napi::Int32Array::New(env, counts_.size());
    auto stats = Napi::BigUint64Array::New(env, rows_.size());
    for (size_t i = 0; i < descriptors_.size(); ++i) {
      descriptors[i] = descriptors_[i];
      counts[i] = counts_[i];
    }
    for (size_t i = 0; i < rows_.size(); ++i) stats[i] = rows_[i];
    // They are the taker's now, and nobody else's.
    descriptors_.clear();
    counts_.clear();
    rows_.clear();
    Napi::Object opened = Napi::Object::New(env);
    opened.Set("descriptors", descriptors);
    opened.Set("stats", stats);
    opened.Set("counts", counts);
    return opened;
  }

 private:
  static void* start(void* opening) {
    static_cast<Opening*>(opening)->run();
    return nullptr;
  }

  void run() {
    for (size_t i = 0; i < paths_.size(); ++i) {
      uint64_t* row = rows_.data() + i * columns;
      descriptors_[i] = openRegular(paths_[i].c_str(), row);
      if (descriptors_[i] < 0) {
        row[0] = static_cast<uint64_t>(-descriptors_[i]);
        counts_[i] = descriptors_[i];
      } else {
        // No more than it says it has: files of /proc say that they are empty, and some wait for something to tell.
        const size_t length = std::min<uint64_t>(headBytes_, row[sizeColumn]);
        counts_[i] = readFully(descriptors_[i], bytes_ + i * headBytes_, length, 0);
      }
    }
  }

  void wait() {
    if (running_) ::pthread_join(thread_, nullptr);
    running_ = false;
  }

  const std::vector<std::string> paths_;
  const size_t headBytes_;
  // Keeps the bytes alive that the thread writes to.
  const Napi::ObjectReference heads_;
  uint8_t* const bytes_;
  std::vector<uint64_t> rows_;
  std::vector<int> descriptors_;
  std::vector<int32_t> counts_;
  pthread_t thread_ = {};
  bool running_ = false;
};

// Of all that could be handed to takeOpened, only this is an Opening.
constexpr napi_type_tag tag = {0x5d3f7b1c2a9e4860, 0x8f1b6e0d94c27a35};

Napi::Value refuse(const Napi::Env& env, const char* message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

}  // namespace

Napi::Value openAhead(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<std::string> paths;
  if (!toTexts(env, info[0], "path", paths)) return env.Undefined();
  Napi::Uint8Array heads;
  if (!toArray(info, 1, napi_uint8_array, "heads", heads)) return env.Undefined();
  if (!info[2].IsNumber()) return refuse(env, "headBytes must be a number");
  const double headBytes = info[2].As<Napi::Number>().DoubleValue();
  // Also false for NaN.
  const bool fits = headBytes >= 0 && headBytes <= INT32_MAX &&
                    heads.ElementLength() >= paths.size() * static_cast<size_t>(headBytes);
  if (!fits) {
    Napi::RangeError::New(env, "the heads do not fit the buffer").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  auto* opening = new Opening(std::move(paths), heads, static_cast<size_t>(headBytes));
  auto external = Napi::External<Opening>::New(env, opening, [](Napi::Env, Opening* old) { delete old; });
  external.TypeTag(&tag);
  return external;
}

Napi::Value takeOpened(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsExternal() || !info[0].As<Napi::External<Opening>>().CheckTypeTag(&tag)) {
    return refuse(env, "opening must be what openAhead gave");
  }
  return info[0].As<Napi::External<Opening>>().Data()->take(env);
}

}  // namespace appc::addon
