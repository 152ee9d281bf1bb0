// Runs a program inside a directory as its root and captures what it prints. Node cannot change the root of what it
// starts, and its own way to start a program takes several times as long; there may be thousands to ask.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include <array>
#include <string>
#include <vector>

#include "functions.h"
#include "sys.h"
#include "values.h"

namespace appc::addon {
namespace {

/** More than this on one stream is no answer: the program is killed. */
constexpr size_t maxOutput = 4 << 20;
constexpr size_t stackSize = 64 << 10;

struct Command {
  /** Empty: the root of this process. */
  std::string root;
  /** Inside the root. */
  std::string directory;
  std::string path;
  std::vector<std::string> arguments;
  std::vector<std::string> variables;
  int milliseconds = 0;
};

struct Captured {
  Result result;
  /** As wait(2) gives it. */
  int status = 0;
  /** Why it was killed by us: 'time' or 'output'; else null. */
  const char* limit = nullptr;
  std::array<std::string, 2> output;
};

/** What the child needs, made before it starts: it shares this process's memory and may not allocate. */
struct Start {
  const Command& command;
  const char* const* argv;
  const char* const* env;
  int input;
  int outputs[2];
  Result failed;
};

/** Handlers would act on this process's memory, and what Node ignores (SIGPIPE) would stay ignored. */
void setDefaultSignals() {
  struct sigaction standard = {};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) sigaction(signal, &standard, nullptr);
  const uint64_t none = 0;
  sys::call(SYS_rt_sigprocmask, SIG_SETMASK, sys::word(&none), 0, sizeof none);
}

Result enterRoot(const Command& command) {
  if (!command.root.empty()) {
    const char* root = command.root.c_str();
    if (const long error = sys::call(SYS_chroot, sys::word(root)); error < 0) {
      return failure(Step::changeRoot, root, static_cast<int>(error));
    }
  }
  const char* directory = command.directory.c_str();
  const int error = sys::chdir(directory);
  return error < 0 ? failure(Step::openDirectory, directory, error) : success();
}

/** The child, until it executes: raw system calls only. */
int runChild(void* argument) {
  Start& start = *static_cast<Start*>(argument);
  start.failed = enterRoot(start.command);
  if (!start.failed.ok()) return 127;
  for (int fd = 0; fd < 3; ++fd) sys::call(SYS_dup3, fd == 0 ? start.input : start.outputs[fd - 1], fd, 0);
  sys::closeOnExecFrom(3);
  // One that hangs does not outlive this process, and one that a damaged file brings down leaves no core.
  sys::call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
  const rlimit none = {0, 0};
  sys::call(SYS_prlimit64, 0, RLIMIT_CORE, sys::word(&none), 0);
  setDefaultSignals();
  const char* path = start.command.path.c_str();
  start.failed = failure(Step::execute, path, sys::execve(path, start.argv, start.env));
  return 127;
}

/**
 * Like vfork: without a copy of Node's page tables, which costs more than all the rest. Signals are blocked until the
 * child has its own dispositions. `process` tells by poll(2) when it has ended.
 */
long startChild(Start& start, int namespaces, sys::Descriptor& process) {
  std::vector<max_align_t> stack(stackSize / sizeof(max_align_t));
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int descriptor = -1;
  const int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD | namespaces;
  const int child = clone(runChild, stack.data() + stack.size(), flags, &start, &descriptor);
  const int error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  process.reset(descriptor);
  return child < 0 ? -error : child;
}

long now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000 + time.tv_nsec / 1'000'000;
}

/** Reads both streams to their ends, and waits for that of the child; false when it is to be killed. */
bool readToEnd(const sys::Descriptor (&streams)[2], int process, int milliseconds, Captured& captured) {
  const long deadline = now() + milliseconds;
  pollfd waiting[3] = {{streams[0].get(), POLLIN, 0}, {streams[1].get(), POLLIN, 0}, {process, POLLIN, 0}};
  std::vector<char> buffer(64 << 10);
  while (waiting[0].fd >= 0 || waiting[1].fd >= 0 || waiting[2].fd >= 0) {
    const long left = deadline - now();
    const int ready = left <= 0 ? 0 : poll(waiting, 3, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      captured.limit = "time";
      return false;
    }
    if (waiting[2].revents != 0) waiting[2].fd = -1;
    for (int i = 0; i < 2; ++i) {
      if (waiting[i].revents == 0) continue;
      const long count = sys::read(waiting[i].fd, buffer.data(), buffer.size());
      if (count <= 0) {
        waiting[i].fd = -1;
        continue;
      }
      captured.output[i].append(buffer.data(), static_cast<size_t>(count));
      if (captured.output[i].size() > maxOutput) {
        captured.limit = "output";
        return false;
      }
    }
  }
  return true;
}

struct Pipe {
  sys::Descriptor reading;
  sys::Descriptor writing;
};

int openPipe(Pipe& pipe) {
  int ends[2];
  if (const long error = sys::call(SYS_pipe2, sys::word(ends), O_CLOEXEC); error < 0) return static_cast<int>(error);
  pipe.reading.reset(ends[0]);
  pipe.writing.reset(ends[1]);
  return 0;
}

Captured run(const Command& command, int namespaces) {
  const std::vector<const char*> argv = pointersTo(command.arguments);
  const std::vector<const char*> env = pointersTo(command.variables);
  const char* path = command.path.c_str();
  const sys::Descriptor input(sys::open(AT_FDCWD, "/dev/null", O_RDONLY));
  Pipe pipes[2];
  Captured captured;
  for (Pipe& pipe : pipes) {
    if (const int error = openPipe(pipe); error < 0) captured.result = failure(Step::execute, path, error);
  }
  if (input.error() != 0) captured.result = failure(Step::execute, path, input.error());
  if (!captured.result.ok()) return captured;

  Start start{command,  argv.data(), env.data(), input.get(), {pipes[0].writing.get(), pipes[1].writing.get()},
              success()};
  sys::Descriptor process;
  const long child = startChild(start, namespaces, process);
  if (child < 0) {
    const Step step = namespaces == 0 ? Step::execute : Step::unshareUser;
    captured.result = failure(step, namespaces == 0 ? path : nullptr, static_cast<int>(child));
    return captured;
  }
  for (Pipe& pipe : pipes) pipe.writing.reset(-1);
  captured.result = start.failed;
  const sys::Descriptor streams[2] = {std::move(pipes[0].reading), std::move(pipes[1].reading)};
  if (!readToEnd(streams, process.get(), command.milliseconds, captured)) sys::call(SYS_kill, child, SIGKILL);
  while (sys::call(SYS_wait4, child, sys::word(&captured.status), 0, 0) == -EINTR) continue;
  return captured;
}

/** Who may not change the root may in a user namespace. No ids are mapped: whoever runs in it is still known by his
 * own. */
Captured runAllowed(const Command& command) {
  Captured captured = run(command, 0);
  const bool refused = captured.result.step == Step::changeRoot && captured.result.error == EPERM;
  return refused ? run(command, CLONE_NEWUSER) : captured;
}

class Capture : public Napi::AsyncWorker {
 public:
  Capture(const Napi::Env& env, Command command)
      : AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)), command_(std::move(command)) {}
  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override { captured_ = runAllowed(command_); }

  void OnOK() override {
    const Napi::Env env = Env();
    if (!captured_.result.ok()) {
      deferred_.Reject(toError(env, captured_.result).Value());
      return;
    }
    const int status = captured_.status;
    Napi::Object out = Napi::Object::New(env);
    out.Set("status", WIFEXITED(status) ? Napi::Number::New(env, WEXITSTATUS(status)) : env.Null());
    out.Set("signal", WIFSIGNALED(status) ? Napi::Number::New(env, WTERMSIG(status)) : env.Null());
    out.Set("limit", captured_.limit == nullptr ? env.Null() : Napi::String::New(env, captured_.limit));
    out.Set("stdout", Napi::Buffer<char>::Copy(env, captured_.output[0].data(), captured_.output[0].size()));
    out.Set("stderr", Napi::Buffer<char>::Copy(env, captured_.output[1].data(), captured_.output[1].size()));
    deferred_.Resolve(out);
  }

 private:
  Napi::Promise::Deferred deferred_;
  Command command_;
  Captured captured_;
};

}  // namespace

Napi::Value capture(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Command command;
  if (!toText(env, info[0], "root", command.root) || !toText(env, info[1], "directory", command.directory) ||
      !toText(env, info[2], "path", command.path) || !toTexts(env, info[3], "argv", command.arguments) ||
      !toTexts(env, info[4], "env", command.variables)) {
    return env.Undefined();
  }
  if (!info[5].IsNumber()) {
    Napi::TypeError::New(env, "milliseconds must be a number").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  command.milliseconds = info[5].As<Napi::Number>().Int32Value();
  auto* worker = new Capture(env, std::move(command));
  const Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

}  // namespace appc::addon
