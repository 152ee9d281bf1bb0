#include "init.h"

#include <errno.h>

#include "confined.h"
#include "messages.h"
#include "private-mounts.h"
#include "report.h"

namespace appc {
namespace {

bool has(const Launch& launch, uint32_t any) {
  return launch.confined != nullptr && launch.confined->confinement.has(any);
}

/** After fork, in the process that is to be the program. */
[[noreturn]] void startProgram(Inheritance& inheritance) {
  const Launch& launch = inheritance.launch;
  tellFailureTo(inheritance.executing);
  // Its end is init's too where there is no PID namespace to take it along.
  const int tied = sys::control(PR_SET_PDEATHSIG, SIGKILL);
  Result result = tied < 0 ? failure(Step::startProcess, nullptr, tied) : success();
  if (inheritance.terminal.isOpen()) {
    // A group of its own in the session, so that Ctrl-Z stops it: the kernel stops no group whose session has nobody
    // else to continue it. Taking the terminal from the background would raise SIGTTOU, were it not blocked.
    sys::setProcessGroup(0, 0);
    inheritance.terminal.takeForeground();
  }
  const int sent = sendMessage(inheritance.socket, {Message::Kind::starting, 0});
  if (result.ok() && sent < 0) result = failure(Step::startProcess, nullptr, sent);
  if (result.ok()) result = inheritance.group.isMade() ? inheritance.group.join() : success();
  if (result.ok() && launch.confined != nullptr) result = confineProcess(*launch.confined);
  if (!result.ok()) fail(Exit::failed, result);
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
    program_ = sys::fork();
    if (program_ < 0) fail(Exit::failed, failure(Step::startProcess, nullptr, program_));
    if (program_ == 0) startProgram(inheritance_);
    // While this process had it too, the supervisor would not see that the program was executed.
    if (const int error = sys::close(inheritance_.executing); error < 0) endUnwaited(error);
    endReporting();
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
    if (got > 0 && message.kind == Message::Kind::resume) sys::kill(-program_, SIGCONT);
  }

  void reap() {
    for (;;) {
      int status;
      const int options = inheritance_.terminal.isOpen() ? WNOHANG | WUNTRACED : WNOHANG;
      const int child = sys::wait(-1, status, options);
      if (child == -EINTR) continue;
      if (child == 0 || child == -ECHILD) return;
      if (child < 0) endUnwaited(child);
      if (child != program_) continue;
      if (WIFSTOPPED(status)) {
        sendMessage(inheritance_.socket, {Message::Kind::stopped, WSTOPSIG(status)});
        continue;
      }
      const int sent = sendMessage(inheritance_.socket, {Message::Kind::exited, status});
      // What the program left in the background goes on without a PID namespace, as it would without appc.
      end(inheritance_, 0, sent < 0 ? Exit::failed.status : 0);
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
  const uint64_t all = ~0ULL;
  int error = sys::changeSignalMask(SIG_SETMASK, &all, nullptr);
  if (error == 0) error = sys::control(PR_SET_PDEATHSIG, SIGKILL);
  // Its own executable is reached through /proc/1/exe, by the mount of the outer namespace, where it can be written to:
  // CVE-2019-5736 of runc.
  if (error == 0) error = sys::control(PR_SET_DUMPABLE, 0);
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
