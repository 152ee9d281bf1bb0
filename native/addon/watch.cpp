// Watches of files for JavaScript, which is called by Node's own loop when there is something to take: no thread waits.
#include <errno.h>
#include <uv.h>

#include <memory>
#include <utility>
#include <vector>

#include "changes.h"
#include "functions.h"
#include "values.h"

namespace appc::addon {
namespace {

/** As long as it is open it keeps Node running. */
class Watch {
 public:
  Watch(std::unique_ptr<ChangeQueue> queue, const Napi::Function& changed)
      : queue_(std::move(queue)), changed_(Napi::Persistent(changed)), context_(changed.Env(), "appc.watch") {}
  ~Watch() { close(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /** A negative errno. */
  int start() {
    uv_loop_t* loop = nullptr;
    if (napi_get_uv_event_loop(changed_.Env(), &loop) != napi_ok) return -ENOSYS;
    auto poll = std::make_unique<uv_poll_t>();
    if (const int error = uv_poll_init(loop, poll.get(), queue_->descriptor()); error < 0) return error;
    poll_ = poll.release();
    poll_->data = this;
    return uv_poll_start(poll_, UV_READABLE,
                         [](uv_poll_t* handle, int, int) { static_cast<Watch*>(handle->data)->tell(); });
  }

  void close() {
    if (poll_ == nullptr) return;
    // The loop has the handle until it has closed it; the descriptor may go at once: uv_poll_t.
    uv_close(reinterpret_cast<uv_handle_t*>(poll_),
             [](uv_handle_t* handle) { delete reinterpret_cast<uv_poll_t*>(handle); });
    poll_ = nullptr;
    queue_.reset();
  }

  /** Null when it is closed. */
  ChangeQueue* queue() const { return queue_.get(); }

 private:
  void tell() {
    const Napi::Env env = changed_.Env();
    const Napi::HandleScope scope(env);
    changed_.MakeCallback(env.Global(), {}, context_);
    // As from any other callback of Node's.
    if (env.IsExceptionPending()) napi_fatal_exception(env, env.GetAndClearPendingException().Value());
  }

  std::unique_ptr<ChangeQueue> queue_;
  Napi::FunctionReference changed_;
  Napi::AsyncContext context_;
  uv_poll_t* poll_ = nullptr;
};

// Of all that could be handed to the functions here, only this is a Watch.
constexpr napi_type_tag tag = {0x2f9d60c8b7e34a15, 0xb3610f7ad85c924e};

Napi::Value refuse(const Napi::Env& env, const char* message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Value fail(const Napi::Env& env, const Result& result) {
  toError(env, result).ThrowAsJavaScriptException();
  return env.Undefined();
}

/** Null after a TypeError. */
Watch* toWatch(const Napi::CallbackInfo& info) {
  if (info[0].IsExternal() && info[0].As<Napi::External<Watch>>().CheckTypeTag(&tag)) {
    return info[0].As<Napi::External<Watch>>().Data();
  }
  refuse(info.Env(), "watch must be what openWatch gave");
  return nullptr;
}

ChangeQueue* toOpen(const Napi::CallbackInfo& info) {
  const Watch* watch = toWatch(info);
  if (watch == nullptr) return nullptr;
  if (watch->queue() == nullptr) refuse(info.Env(), "the watch is closed");
  return watch->queue();
}

}  // namespace

Napi::Value openWatch(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string method = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : "";
  if (method != "fanotify" && method != "inotify") return refuse(env, "method must be 'fanotify' or 'inotify'");
  if (!info[1].IsFunction()) return refuse(env, "changed must be a function");
  using Method = ChangeQueue::Method;
  auto queue = std::make_unique<ChangeQueue>(method == "fanotify" ? Method::fanotify : Method::inotify);
  if (queue->descriptor() < 0) return fail(env, failure(Step::watchFiles, nullptr, queue->descriptor()));
  auto watch = std::make_unique<Watch>(std::move(queue), info[1].As<Napi::Function>());
  if (const int error = watch->start(); error < 0) return fail(env, failure(Step::watchFiles, nullptr, error));
  auto external = Napi::External<Watch>::New(env, watch.release(), [](Napi::Env, Watch* old) { delete old; });
  external.TypeTag(&tag);
  return external;
}

Napi::Value watchMany(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  ChangeQueue* queue = toOpen(info);
  std::vector<std::string> paths;
  if (queue == nullptr || !toTexts(env, info[1], "path", paths)) return env.Undefined();
  if (!info[2].IsBoolean()) return refuse(env, "areDirectories must be a boolean");
  const bool areDirectories = info[2].As<Napi::Boolean>();
  auto watches = Napi::Int32Array::New(env, paths.size());
  for (size_t i = 0; i < paths.size(); ++i) watches[i] = queue->add(paths[i], areDirectories);
  return watches;
}

Napi::Value takeChanges(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  ChangeQueue* queue = toOpen(info);
  if (queue == nullptr) return env.Undefined();
  Changes changes;
  if (const Result result = queue->take(changes); !result.ok()) return fail(env, result);
  Napi::Array all = Napi::Array::New(env, changes.all.size());
  for (uint32_t i = 0; i < changes.all.size(); ++i) {
    const Change& change = changes.all[i];
    Napi::Object object = Napi::Object::New(env);
    object.Set("watch", Napi::Number::New(env, change.watch));
    object.Set("kinds", Napi::Number::New(env, change.kinds));
    object.Set("process", Napi::Number::New(env, change.process));
    object.Set("name", Napi::String::New(env, change.name));
    all.Set(i, object);
  }
  Napi::Object taken = Napi::Object::New(env);
  taken.Set("changes", all);
  taken.Set("lost", Napi::Boolean::New(env, changes.lost));
  return taken;
}

Napi::Value closeWatch(const Napi::CallbackInfo& info) {
  if (Watch* watch = toWatch(info); watch != nullptr) watch->close();
  return info.Env().Undefined();
}

}  // namespace appc::addon
