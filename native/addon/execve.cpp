#include <fcntl.h>
#include <signal.h>

#include <string>
#include <vector>

#include "functions.h"
#include "sys.h"
#include "values.h"

namespace appc::addon {
namespace {

/**
 * Signals as a program expects them at its start. Exec sets handlers back by itself, but what is ignored (SIGPIPE and
 * SIGXFSZ in Node) stays ignored, and a blocked signal blocked. Puts everything back, as the call returns only on
 * failure.
 */
class DefaultSignals {
 public:
  DefaultSignals() {
    struct sigaction standard = {};
    standard.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; ++signal) known_[signal] = sigaction(signal, &standard, &actions_[signal]) == 0;
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, &mask_);
  }
  ~DefaultSignals() {
    pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
    for (int signal = 1; signal < NSIG; ++signal) {
      if (known_[signal]) sigaction(signal, &actions_[signal], nullptr);
    }
  }
  DefaultSignals(const DefaultSignals&) = delete;
  DefaultSignals& operator=(const DefaultSignals&) = delete;

 private:
  struct sigaction actions_[NSIG];
  bool known_[NSIG];
  sigset_t mask_;
};

/**
 * Standard streams as a program expects them: Node makes pipes and terminals non-blocking, which programs that inherit
 * them take for errors.
 */
class BlockingStreams {
 public:
  BlockingStreams() {
    for (int fd = 0; fd < 3; ++fd) {
      flags_[fd] = fcntl(fd, F_GETFL);
      if (flags_[fd] >= 0) fcntl(fd, F_SETFL, flags_[fd] & ~O_NONBLOCK);
    }
  }
  ~BlockingStreams() {
    for (int fd = 0; fd < 3; ++fd) {
      if (flags_[fd] >= 0) fcntl(fd, F_SETFL, flags_[fd]);
    }
  }
  BlockingStreams(const BlockingStreams&) = delete;
  BlockingStreams& operator=(const BlockingStreams&) = delete;

 private:
  int flags_[3];
};

Result execute(const std::string& path, const std::vector<std::string>& arguments,
               const std::vector<std::string>& variables, const std::vector<int>& kept) {
  const std::vector<const char*> argv = pointersTo(arguments);
  const std::vector<const char*> env = pointersTo(variables);
  // Node marks all that it inherits when it starts, the standard streams too (uv_disable_stdio_inheritance). This is
  // for what was opened since, by others in the process, and by Node where a standard stream was closed.
  if (const int error = sys::closeOnExecFrom(0); error < 0) return failure(Step::execute, path.c_str(), error);
  for (const int fd : kept) fcntl(fd, F_SETFD, 0);
  const BlockingStreams streams;
  const DefaultSignals signals;
  return failure(Step::execute, path.c_str(), sys::execve(path.c_str(), argv.data(), env.data()));
}

}  // namespace

Napi::Value execve(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::string path;
  std::vector<std::string> arguments;
  std::vector<std::string> variables;
  std::vector<int> kept;
  if (!toText(env, info[0], "path", path) || !toTexts(env, info[1], "argv", arguments) ||
      !toTexts(env, info[2], "env", variables) || !toDescriptors(env, info[3], kept)) {
    return env.Undefined();
  }
  toError(env, execute(path, arguments, variables, kept)).ThrowAsJavaScriptException();
  return env.Undefined();
}

}  // namespace appc::addon
