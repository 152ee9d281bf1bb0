#include "init.h"

#include <errno.h>

#include "confined.h"
#include "messages.h"
#include "private-mounts.h"
#include "report.h"
#include "signals.h"
#include "streams.h"

namespace appc {
namespace {

bool has(const Launch& launch, uint32_t any) {
  return launch.confined != nullptr && launch.confined->confinement.has(any);
}

/** After fork, in the process that is to be the program. `parent` as this process sees it. */
Result prepareProgram(Inheritance& inheritance, int parent) {
  const Launch& launch = inheritance.launch;
  // Its end is init's too where there is no PID namespace to take it along. One that came before was not told.
  const int error = sys::control(PR_SET_PDEATHSIG, SIGKILL);
  if (error < 0) return failure(Step::startProcess, nullptr, error);
  // Why it ended is told by the supervisor.
  if (sys::call(SYS_getppid) != parent) sys::exit(Exit::failed.status);
  if (has(launch, part::session)) {
    // A group of its own in the session, so that Ctrl-Z stops it: the kernel stops no group whose session has nobody
    // else to continue it.
    const int own = sys::setProcessGroup(0, 0);
    if (own < 0) return failure(Step::openTerminal, nullptr, own);
  }
  if (inheritance.inForeground) {
    // From the background, which would raise SIGTTOU, were it not blocked.
    const Result given = inheritance.terminal.giveForeground(sys::processId());
    if (!given.ok()) return given;
  }
  const int sent = sendMessage(inheritance.socket, {Message::Kind::starting, 0});
  if (sent < 0) return failure(Step::startProcess, nullptr, sent);
  Result result = inheritance.group.isMade() ? inheritance.group.join() : success();
  if (result.ok() && launch.confined != nullptr) result = confineProcess(*launch.confined);
  return result;
}

[[noreturn]] void startProgram(Inheritance& inheritance, int parent) {
  tellFailureTo(inheritance.executing);
  const Result prepared = prepareProgram(inheritance, parent);
  // A supervisor that has gone meanwhile has told of its own failure.
  if (prepared.step == Step::startProcess && prepared.error == EPIPE) sys::exit(Exit::failed.status);
  if (!prepared.ok()) fail(Exit::failed, prepared);
  ignoreAgain(inheritance.ignoredSignals);
  sys::changeSignalMask(SIG_SETMASK, &inheritance.signalMask, nullptr);
  execute(inheritance.program);
}

/** Of the children of this process, as long as there are any: orphans below it come to it (PR_SET_CHILD_SUBREAPER). */
void killDescendants() {
  for (;;) {
    const sys::Descriptor list(sys::open(AT_FDCWD, "/proc/thread-self/children", O_RDONLY));
    char text[4096];
    const long count = list.error() != 0 ? 0 : sys::read(list.get(), text, sizeof text - 1);
    if (count <= 0) return;
    text[count] = '\0';
    for (const char* at = text; *at >= '0' && *at <= '9';) {
      sys::kill(static_cast<int>(parseDecimal(at)), SIGKILL);
      while (*at >= '0' && *at <= '9') ++at;
      if (*at == ' ') ++at;
    }
    int status;
    while (sys::wait(-1, status, 0) == -EINTR) continue;
  }
}

/** What is left goes with the PID namespace, or by name; then the control group is empty. */
[[noreturn]] void end(Inheritance& inheritance, int program, int status) {
  if (inheritance.group.isMade()) {
    inheritance.group.kill();
    if (!has(inheritance.launch, part::pid)) killDescendants();
    if (has(inheritance.launch, part::pid)) sys::kill(-1, SIGKILL);
    int ignored;
    int child = 0;
    while (child >= 0 || child == -EINTR) child = sys::wait(-1, ignored, 0);
    inheritance.group.remove();
  } else if (program > 0 && !has(inheritance.launch, part::pid)) {
    killDescendants();
  }
  sys::exit(status);
}

class Init {
 public:
  explicit Init(Inheritance& inheritance) : inheritance_(inheritance) {}

  [[noreturn]] void run() {
    const sys::Descriptor children(sys::signalDescriptor(1ULL << (SIGCHLD - 1)));
    if (children.error() != 0) fail(Exit::failed, failure(Step::waitForProgram, nullptr, children.error()));
    const int self = sys::processId();
    program_ = sys::fork();
    if (program_ < 0) fail(Exit::failed, failure(Step::startProcess, nullptr, program_));
    if (program_ == 0) startProgram(inheritance_, self);
    sys::close(inheritance_.executing);
    endReporting();
    for (int fd = 0; fd <= 2; ++fd) closeCallers(fd);
    if (inheritance_.launch.confined != nullptr) closeKept(inheritance_.launch.confined->confinement);
    for (;;) {
      struct pollfd ready[] = {{inheritance_.socket, POLLIN, 0}, {children.get(), POLLIN, 0}};
      const int count = sys::poll(ready, 2);
      // What cannot be waited for is not left running.
      if (count < 0 && count != -EINTR) endUnwaited(count);
      if (count > 0 && ready[0].revents != 0) readMessage();
      if (count > 0 && ready[1].revents != 0) {
        struct signalfd_siginfo ignored;
        sys::read(children.get(), &ignored, sizeof ignored);
        reap();
      }
    }
  }

 private:
  void readMessage() {
    Message message;
    int sender;
    const int got = receiveMessage(inheritance_.socket, message, sender);
    // The supervisor is gone.
    if (got == 0) end(inheritance_, program_, Exit::failed.status);
    if (got < 0 && got != -EAGAIN) endUnwaited(got);
    if (got <= 0) return;
    if (message.kind == Message::Kind::signal) sys::kill(-program_, message.value);
    if (message.kind != Message::Kind::resume) return;
    const Terminal& terminal = inheritance_.terminal;
    const Result given = terminal.giveForeground(message.value == 1 ? program_ : sys::processId());
    if (!given.ok()) endUnwaited(given.error);
    sys::kill(-program_, SIGCONT);
  }

  void reap() {
    for (;;) {
      int status;
      const int child = sys::wait(-1, status, WNOHANG | WUNTRACED);
      if (child == -EINTR) continue;
      if (child == 0 || child == -ECHILD) return;
      if (child < 0) endUnwaited(child);
      if (child != program_) continue;
      if (WIFSTOPPED(status)) {
        sendMessage(inheritance_.socket, {Message::Kind::stopped, WSTOPSIG(status)});
        continue;
      }
      sendMessage(inheritance_.socket, {Message::Kind::exited, status});
      // What the program left in the background goes on without a PID namespace, as it would without appc.
      end(inheritance_, 0, 0);
    }
  }

  [[noreturn]] void endUnwaited(int error) {
    // The supervisor tells of it: it gets no status.
    static_cast<void>(error);
    end(inheritance_, program_, Exit::failed.status);
  }

  Inheritance& inheritance_;
  int program_ = -1;
};

}  // namespace

void runInit(Inheritance& inheritance) {
  const Launch& launch = inheritance.launch;
  tellFailureTo(inheritance.executing);
  const uint64_t all = ~0ULL;
  int error = sys::changeSignalMask(SIG_SETMASK, &all, nullptr);
  // Its own executable is reached through /proc/1/exe, by the mount of the outer namespace, where it can be written to:
  // CVE-2019-5736 of runc.
  if (error == 0) error = sys::control(PR_SET_DUMPABLE, 0);
  // All goes with the namespace, whatever this process is doing. Elsewhere it has to end what is below it first, and
  // learns of the supervisor's end by the socket.
  const bool endsAtOnce = has(launch, part::pid) && !inheritance.group.isMade();
  if (error == 0 && endsAtOnce) error = sys::control(PR_SET_PDEATHSIG, SIGKILL);
  if (error < 0) fail(Exit::failed, failure(Step::startProcess, nullptr, error));
  if (has(launch, part::pid)) {
    const sys::Descriptor root(sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
    if (root.error() != 0) fail(Exit::failed, failure(Step::openDirectory, "/", root.error()));
    const Result mounted = mountProcesses(root.get(), has(launch, part::readOnly));
    if (!mounted.ok()) fail(Exit::failed, mounted);
  } else if (error = sys::control(PR_SET_CHILD_SUBREAPER, 1); error < 0) {
    fail(Exit::failed, failure(Step::startProcess, nullptr, error));
  }
  if (has(launch, part::session)) {
    if (error = sys::newSession(); error < 0) fail(Exit::failed, failure(Step::openTerminal, nullptr, error));
    const Result entered = inheritance.terminal.isOpen() ? inheritance.terminal.enter() : success();
    if (!entered.ok()) fail(Exit::failed, entered);
  }
  Init(inheritance).run();
}

}  // namespace appc
