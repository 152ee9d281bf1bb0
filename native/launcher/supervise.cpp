#include "supervise.h"

#include <errno.h>

#include "bus.h"
#include "init.h"
#include "limits.h"
#include "messages.h"
#include "process.h"
#include "report.h"
#include "signals.h"
#include "status.h"
#include "terminal.h"

namespace appc {
namespace {

constexpr uint64_t bit(int signal) { return 1ULL << (signal - 1); }

/** Those that a fault raises in a process itself, and those that stop it when it reads the terminal in the background.
 */
constexpr uint64_t notBlocked = bit(SIGSEGV) | bit(SIGBUS) | bit(SIGFPE) | bit(SIGILL) | bit(SIGTRAP) | bit(SIGSYS) |
                                bit(SIGABRT) | bit(SIGTTIN) | bit(SIGTTOU) | bit(SIGKILL) | bit(SIGSTOP);
constexpr uint64_t blocked = ~notBlocked;

class Supervisor {
 public:
  Supervisor(Launch& launch, const Program& program) : launch_(launch), program_(program) {}

  [[noreturn]] void run() {
    Result result = begin();
    while (result.ok() && !ended_) result = waitOnce();
    terminal_.restore();
    if (!result.ok()) {
      if (init_ > 0) killInit();
      fail(Exit::failed, result);
    }
    leave();
  }

 private:
  Result begin() {
    // The program is not to tell of itself in this one's name.
    if (launch_.options.statusFd >= 0) sys::setDescriptorFlags(launch_.options.statusFd, FD_CLOEXEC);
    // Nothing inside may look into this process, which has more rights than what it watches over (also CVE-2019-5736).
    int error = sys::control(PR_SET_DUMPABLE, 0);
    if (error == 0) error = sys::changeSignalMask(SIG_SETMASK, &blocked, &callersMask_);
    if (error < 0) return failure(Step::startProcess, nullptr, error);
    signals_.reset(sys::signalDescriptor(blocked));
    if (signals_.error() != 0) return failure(Step::startProcess, nullptr, signals_.error());
    Result result = openConfined();
    if (!result.ok()) return result;
    int sockets[2];
    error = sys::socketPair(sockets);
    if (error < 0) return failure(Step::startProcess, nullptr, error);
    socket_.reset(sockets[0]);
    sys::Descriptor initsSocket(sockets[1]);
    int ends[2];
    error = sys::pipe(ends);
    if (error < 0) return failure(Step::startProcess, nullptr, error);
    executing_.reset(ends[0]);
    sys::Descriptor initsEnd(ends[1]);
    const int on = 1;
    error =
        static_cast<int>(sys::call(SYS_setsockopt, socket_.get(), SOL_SOCKET, SO_PASSCRED, sys::word(&on), sizeof on));
    if (error < 0) return failure(Step::startProcess, nullptr, error);
    Inheritance inheritance = {launch_, program_, initsSocket.get(), initsEnd.get(), callersMask_, terminal_, group_};
    init_ = forkInit();
    if (init_ == 0) startInit(inheritance);
    if (init_ < 0) return failure(Step::startProcess, nullptr, init_);
    terminal_.begin();
    // While this process had them too, it would wait for their end for ever.
    error = initsSocket.end();
    if (error == 0) error = initsEnd.end();
    return error < 0 ? failure(Step::startProcess, nullptr, error) : success();
  }

  [[noreturn]] void startInit(Inheritance& inheritance) {
    tellFailureTo(inheritance.executing);
    int error = socket_.end();
    if (error == 0) error = executing_.end();
    if (error < 0) fail(Exit::failed, failure(Step::startProcess, nullptr, error));
    runInit(inheritance);
  }

  Result openConfined() {
    if (launch_.confined == nullptr) return success();
    const Confinement& confinement = launch_.confined->confinement;
    Result result = success();
    if (confinement.group.any()) result = group_.make(confinement.group, sys::processId());
    if (result.ok() && confinement.has(part::session)) result = terminal_.open(launch_.confined->files.terminals());
    if (result.ok()) result = launch_.confined->bus.start(confinement, launch_.environment, launch_.uid);
    return result;
  }

  /**
   * A PID namespace is its children's. Init's mounts are its own, since the /proc that it mounts shows another
   * namespace's processes than this one's.
   */
  int forkInit() const {
    const bool isolated = launch_.confined != nullptr && launch_.confined->confinement.has(part::pid);
    return sys::fork(isolated ? CLONE_NEWPID | CLONE_NEWNS : 0);
  }

  Result waitOnce() {
    struct pollfd ready[5] = {{signals_.get(), POLLIN, 0}, {socket_.get(), POLLIN, 0}, {executing_.get(), POLLIN, 0}};
    const bool relays = terminal_.isOpen();
    if (relays) terminal_.prepare(ready + 3);
    const int count = sys::poll(ready, relays ? 5 : 3);
    if (count == -EINTR) return success();
    if (count < 0) return failure(Step::waitForProgram, nullptr, count);
    Result result = success();
    if (relays) terminal_.relay(ready + 3);
    if (ready[1].revents != 0) result = readMessage();
    if (result.ok() && ready[2].revents != 0) result = readExecuted();
    if (result.ok() && ready[0].revents != 0) result = readSignal();
    return result;
  }

  Result readMessage() {
    Message message;
    int sender = 0;
    const int got = receiveMessage(socket_.get(), message, sender);
    if (got == -EAGAIN) return success();
    if (got < 0) return failure(Step::waitForProgram, nullptr, got);
    if (got == 0) return readEnd();
    switch (message.kind) {
      case Message::Kind::starting:
        started_ = sender;
        process_.reset(sys::openProcess(sender));
        // It may have been killed since: its status comes.
        return process_.error() != 0 && process_.error() != ESRCH
                   ? failure(Step::waitForProgram, nullptr, process_.error())
                   : success();
      case Message::Kind::stopped:
        stop();
        return success();
      case Message::Kind::exited:
        status_ = message.value;
        hasStatus_ = true;
        return success();
      default:
        return failure(Step::waitForProgram, nullptr, EBADMSG);
    }
  }

  /** Init has gone: with the program's status when all went well, with its own failure, or by a signal. */
  Result readEnd() {
    int status = 0;
    int waited = -EINTR;
    while (waited == -EINTR) waited = sys::wait(init_, status, 0);
    if (waited < 0) return failure(Step::waitForProgram, nullptr, waited);
    init_ = -1;
    ended_ = true;
    if (!hasStatus_) status_ = status;
    // It never ends so without telling the program's status, unless it has told of a failure.
    if (!hasStatus_ && WIFEXITED(status) && WEXITSTATUS(status) == 0)
      return failure(Step::waitForProgram, nullptr, EIO);
    // A failure that was not told.
    if (!hasStatus_ && executed_ && WIFEXITED(status)) return failure(Step::waitForProgram, nullptr, ECHILD);
    // The program's last message and its execution may have come at once.
    return executing_.get() >= 0 ? readExecuted() : success();
  }

  Result readExecuted() {
    char failed;
    long count = -EINTR;
    while (count == -EINTR) count = sys::read(executing_.get(), &failed, 1);
    if (count < 0) return failure(Step::waitForProgram, nullptr, static_cast<int>(count));
    executing_.reset(-1);
    executed_ = count == 0 && started_ > 0;
    endReporting();
    return executed_ ? tellStarted(launch_.options.statusFd, started_) : success();
  }

  Result readSignal() {
    struct signalfd_siginfo signal;
    const long count = sys::read(signals_.get(), &signal, sizeof signal);
    if (count == -EAGAIN || count == -EINTR) return success();
    if (count != sizeof signal)
      return failure(Step::waitForProgram, nullptr, static_cast<int>(count < 0 ? count : -EIO));
    const int number = static_cast<int>(signal.ssi_signo);
    // Of init the socket tells, of the proxy nobody needs to know.
    if (number == SIGCHLD || number == SIGPIPE) return success();
    if (number == SIGWINCH) terminal_.copySize();
    // Those of the terminal come to the whole group, and so to the program; what was sent to this process is meant for
    // it. In a session of its own nothing comes there.
    const bool sent = signal.ssi_code <= 0;
    if (sent || terminal_.isOpen()) pass(number);
    if (number == SIGTSTP && !terminal_.isOpen()) suspend();
    return success();
  }

  void pass(int signal) {
    if (process_.get() >= 0) {
      sys::signalProcess(process_.get(), signal);
    } else if (signal != SIGCONT && signal != SIGWINCH && signal != SIGTSTP) {
      // Before there is a program: it is this process that is meant.
      killInit();
      dieOf(signal);
    }
  }

  /** The program in its own session was stopped (Ctrl-Z): for the shell it is this process. */
  void stop() {
    terminal_.restore();
    suspend();
    terminal_.makeRaw();
    terminal_.copySize();
    sendMessage(socket_.get(), {Message::Kind::resume, 0});
  }

  static void suspend() { sys::kill(sys::processId(), SIGSTOP); }

  void killInit() {
    sys::kill(init_, SIGKILL);
    int status;
    while (sys::wait(init_, status, 0) == -EINTR) continue;
    group_.remove();
    terminal_.restore();
  }

  /** As the program ended. */
  [[noreturn]] void leave() {
    terminal_.drain();
    terminal_.restore();
    if (executed_) {
      if (const Result told = tellExited(launch_.options.statusFd, status_); !told.ok()) fail(Exit::failed, told);
    }
    if (WIFEXITED(status_)) sys::exit(WEXITSTATUS(status_));
    dieOf(WTERMSIG(status_));
  }

  /** Of the same signal, but without a second dump of core. */
  [[noreturn]] static void dieOf(int signal) {
    const uint64_t none[2] = {0, 0};
    sys::call(SYS_prlimit64, 0, RLIMIT_CORE, sys::word(none), 0);
    setDefaultAction(signal);
    const uint64_t unblocked = 0;
    sys::kill(sys::processId(), signal);
    sys::changeSignalMask(SIG_SETMASK, &unblocked, nullptr);
    // A signal that ends nothing by default cannot have ended the program.
    sys::exit(128 + signal);
  }

  Launch& launch_;
  const Program& program_;
  uint64_t callersMask_ = 0;
  sys::Descriptor signals_;
  sys::Descriptor socket_;
  sys::Descriptor executing_;
  sys::Descriptor process_;
  Terminal terminal_;
  ControlGroup group_;
  int init_ = -1;
  int started_ = 0;
  bool executed_ = false;
  bool hasStatus_ = false;
  bool ended_ = false;
  int status_ = 0;
};

}  // namespace

void supervise(Launch& launch, const Program& program) {
  Supervisor supervisor(launch, program);
  supervisor.run();
}

}  // namespace appc
