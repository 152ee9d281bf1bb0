// Processes and namespaces by descriptor: a process id may be another's by the time that it is used.
#include <errno.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <time.h>

#include <vector>

#include "functions.h"
#include "process.h"
#include "values.h"

namespace appc::addon {
namespace {

long now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000 + time.tv_nsec / 1'000'000;
}

bool toNumber(const Napi::CallbackInfo& info, size_t index, const char* what, int& number) {
  if (info[index].IsNumber()) {
    number = info[index].As<Napi::Number>().Int32Value();
    return true;
  }
  Napi::TypeError::New(info.Env(), std::string(what) + " must be a number").ThrowAsJavaScriptException();
  return false;
}

/** pidfd_open(2): such a descriptor can be read when the process has ended. */
class Ends : public Napi::AsyncWorker {
 public:
  Ends(const Napi::Env& env, const std::vector<int>& processes, int milliseconds)
      : AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)), milliseconds_(milliseconds) {
    for (const int process : processes) processes_.push_back({process, POLLIN, 0});
  }
  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    const long deadline = now() + milliseconds_;
    do {
      const long left = deadline - now();
      error_ = poll(processes_.data(), processes_.size(), left < 0 ? 0 : static_cast<int>(left)) < 0 ? errno : 0;
    } while (error_ == EINTR);
  }

  void OnOK() override {
    const Napi::Env env = Env();
    if (error_ != 0) {
      deferred_.Reject(toError(env, failure(Step::waitForProgram, nullptr, error_)).Value());
      return;
    }
    Napi::Array ended = Napi::Array::New(env);
    for (const pollfd& process : processes_) {
      if (process.revents != 0) ended.Set(ended.Length(), Napi::Number::New(env, process.fd));
    }
    deferred_.Resolve(ended);
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::vector<pollfd> processes_;
  int milliseconds_;
  int error_ = 0;
};

}  // namespace

Napi::Value openProcess(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int pid = 0;
  if (!toNumber(info, 0, "pid", pid)) return env.Undefined();
  const int process = sys::openProcess(pid);
  if (process >= 0) return Napi::Number::New(env, process);
  toError(env, failure(Step::openProcess, nullptr, process)).ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Value signalProcess(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int process = -1;
  int signal = 0;
  if (!toDescriptor(info, 0, process) || !toNumber(info, 1, "signal", signal)) return env.Undefined();
  const int error = sys::signalProcess(process, signal);
  if (error < 0) toError(env, failure(Step::signalProcess, nullptr, error)).ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Value awaitEnds(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::vector<int> processes;
  int milliseconds = 0;
  if (!toDescriptors(env, info[0], processes) || !toNumber(info, 1, "milliseconds", milliseconds)) {
    return env.Undefined();
  }
  auto* worker = new Ends(env, processes, milliseconds);
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  // It deletes itself when it is done: Napi::AsyncWorker.
  return promise;  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks)
}

Napi::Value ownerOf(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int fd = -1;
  if (!toDescriptor(info, 0, fd)) return env.Undefined();
  const sys::Descriptor user(sys::ioctl(fd, NS_GET_USERNS, 0L));
  // It lies outside of the caller's own user namespace.
  if (user.error() == EPERM) return env.Null();
  struct statx status;
  uid_t uid = 0;
  int error = -user.error();
  if (error == 0) error = sys::statAt(user.get(), "", AT_EMPTY_PATH, STATX_INO, status);
  if (error == 0) error = sys::ioctl(user.get(), NS_GET_OWNER_UID, &uid);
  if (error < 0) {
    toError(env, failure(Step::joinNamespace, nullptr, error)).ThrowAsJavaScriptException();
    return env.Undefined();
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("userNamespace", Napi::Number::New(env, static_cast<double>(status.stx_ino)));
  out.Set("uid", Napi::Number::New(env, uid));
  return out;
}

}  // namespace appc::addon
