#include "supervise.h"

#include <errno.h>

#include "bus.h"
#include "init.h"
#include "messages.h"
#include "process.h"
#include "report.h"
#include "resource-limits.h"
#include "signals.h"
#include "status.h"
#include "streams.h"
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
  Supervisor(Launch& launch, const Program& program, ControlGroup& group)
      : launch_(launch), program_(program), group_(group) {}

  [[noreturn]] void run() {
    Result result = begin();
    while (result.ok() && !ended_) result = waitOnce();
    terminal_.restore();
    if (!result.ok()) {
      endInit();
      fail(Exit::failed, result);
    }
    leave();
  }

 private:
  Result begin() {
    Result result = protect();
    if (result.ok()) result = openConfined();
    if (!result.ok()) return result;
    int sockets[2];
    int error = sys::socketPair(sockets);
    if (error < 0) return failure(Step::startProcess, nullptr, error);
    socket_.reset(sockets[0]);
    const sys::Descriptor initsSocket(sockets[1]);
    int ends[2];
    error = sys::pipe(ends, O_NONBLOCK);
    if (error < 0) return failure(Step::startProcess, nullptr, error);
    executing_.reset(ends[0]);
    const sys::Descriptor initsEnd(ends[1]);
    const int on = 1;
    error =
        static_cast<int>(sys::call(SYS_setsockopt, socket_.get(), SOL_SOCKET, SO_PASSCRED, sys::word(&on), sizeof on));
    if (error < 0) return failure(Step::startProcess, nullptr, error);
    Inheritance inheritance = {launch_,      program_,        initsSocket.get(),     initsEnd.get(),
                               callersMask_, ignoredSignals_, terminal_.take(false), terminal_,
                               group_};
    init_ = forkInit();
    if (init_ == 0) {
      socket_.reset(-1);
      executing_.reset(-1);
      runInit(inheritance);
    }
    if (init_ < 0) return failure(Step::startProcess, nullptr, init_);
    terminal_.begin();
    return success();
  }

  Result protect() {
    // The program is not to tell of itself in this one's name.
    int error = launch_.options.statusFd < 0 ? 0 : sys::setDescriptorFlags(launch_.options.statusFd, FD_CLOEXEC);
    // Nothing inside may look into this process, which has more rights than what it watches over (also CVE-2019-5736).
    if (error == 0) error = sys::control(PR_SET_DUMPABLE, 0);
    // What the caller closed must not be one of the sockets below: errors are written there. The program finds it
    // closed.
    for (int fd = 0; fd <= 2 && error >= 0; ++fd) {
      if (sys::call(SYS_fcntl, fd, F_GETFD) == -EBADF) error = sys::open(AT_FDCWD, "/dev/null", O_RDWR);
    }
    if (error >= 0) error = sys::changeSignalMask(SIG_SETMASK, &blocked, &callersMask_);
    if (error < 0) return failure(Step::startProcess, nullptr, error);
    ignoredSignals_ = ignoredSignals();
    // Of children whose end is ignored no status comes.
    setDefaultAction(SIGCHLD);
    signals_.reset(sys::signalDescriptor(blocked));
    return signals_.error() != 0 ? failure(Step::startProcess, nullptr, signals_.error()) : success();
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

  bool isConfined(uint32_t any) const { return launch_.confined != nullptr && launch_.confined->confinement.has(any); }

  /**
   * A PID namespace is its children's. Init's mounts are its own, since the /proc that it mounts shows another
   * namespace's processes than this one's.
   */
  int forkInit() const { return sys::fork(isConfined(part::pid) ? CLONE_NEWPID | CLONE_NEWNS : 0); }

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
    if (result.ok() && !ended_ && ready[2].revents != 0) result = readExecuted();
    if (result.ok() && !ended_ && ready[0].revents != 0) result = readSignal();
    return result;
  }

  /** `got` as receiveMessage() gives it. */
  Result takeNext(int& got) {
    Message message;
    int sender = 0;
    got = receiveMessage(socket_.get(), message, sender);
    return got > 0 ? take(message, sender) : success();
  }

  Result readMessage() {
    int got = 0;
    const Result taken = takeNext(got);
    if (!taken.ok() || got > 0 || got == -EAGAIN) return taken;
    if (got < 0) return failure(Step::waitForProgram, nullptr, got);
    int status = 0;
    int waited = -EINTR;
    while (waited == -EINTR) waited = sys::wait(init_, status, 0);
    return waited < 0 ? failure(Step::waitForProgram, nullptr, waited) : conclude(status);
  }

  Result take(const Message& message, int sender) {
    switch (message.kind) {
      case Message::Kind::starting:
        started_ = sender;
        process_.reset(sys::openProcess(sender));
        // It may have been killed since: its status comes.
        return process_.error() != 0 && process_.error() != ESRCH
                   ? failure(Step::waitForProgram, nullptr, process_.error())
                   : success();
      case Message::Kind::stopped:
        return stop(message.value);
      case Message::Kind::exited:
        status_ = message.value;
        hasStatus_ = true;
        return success();
      default:
        return failure(Step::waitForProgram, nullptr, EBADMSG);
    }
  }

  /** Init has ended, with this status. What it has told before is still to be read. */
  Result conclude(int status) {
    init_ = -1;
    ended_ = true;
    for (int got = 1; got > 0;) {
      if (const Result taken = takeNext(got); !taken.ok()) return taken;
    }
    if (const Result read = readExecuted(); !read.ok()) return read;
    // The process that was to be the program may have ended before, and said nothing.
    const bool untold = hasStatus_ && !failed_ && started_ == 0 && WIFEXITED(status_);
    if (untold) return failure(Step::startProcess, nullptr, ESRCH);
    if (hasStatus_) return success();
    // Else it told of a failure itself, or somebody killed it.
    status_ = failed_ && !WIFSIGNALED(status) ? Exit::failed.status << 8 : status;
    return failed_ || WIFSIGNALED(status) ? success() : failure(Step::waitForProgram, nullptr, ECHILD);
  }

  Result readExecuted() {
    if (executing_.get() < 0) return success();
    char failed;
    long count = -EINTR;
    while (count == -EINTR) count = sys::read(executing_.get(), &failed, 1);
    // Nobody has failed, and somebody is still there (a descriptor that could not be closed) after the end.
    if (count == -EAGAIN) count = 0;
    if (count < 0) return failure(Step::waitForProgram, nullptr, static_cast<int>(count));
    executing_.reset(-1);
    failed_ = count > 0;
    // The message was sent before, but may have come after the socket was looked at. An end is read in its turn.
    if (!failed_ && started_ == 0) {
      int got = 0;
      if (const Result taken = takeNext(got); !taken.ok()) return taken;
    }
    executed_ = !failed_ && started_ > 0;
    if (!executed_) return success();
    endReporting();
    closeStreams();
    return tellStarted(launch_.options.statusFd, started_);
  }

  Result reap() {
    for (;;) {
      int status = 0;
      const int child = sys::wait(-1, status, WNOHANG);
      if (child == -EINTR) continue;
      if (child == 0 || child == -ECHILD) return success();
      if (child < 0) return failure(Step::waitForProgram, nullptr, child);
      // The others are proxies.
      if (child == init_) return conclude(status);
    }
  }

  /** Who waits for the end of what the program writes, or reads no more, must not wait for this process. */
  void closeStreams() const {
    for (int fd = 0; fd <= 1; ++fd) {
      if (!terminal_.uses(fd)) closeCallers(fd);
    }
    if (launch_.confined != nullptr) closeKept(launch_.confined->confinement);
  }

  Result readSignal() {
    struct signalfd_siginfo signal;
    const long count = sys::read(signals_.get(), &signal, sizeof signal);
    if (count == -EAGAIN || count == -EINTR) return success();
    if (count != sizeof signal)
      return failure(Step::waitForProgram, nullptr, static_cast<int>(count < 0 ? count : -EIO));
    const int number = static_cast<int>(signal.ssi_signo);
    if (number == SIGCHLD) return reap();
    if (number == SIGPIPE) return success();
    const bool sent = signal.ssi_code <= 0;
    if (number == SIGCONT) {
      // The one that ended a stop of both: init has been told, and the program must not go on before its terminal is
      // what it is to be.
      const bool isKnown = wasStopped_;
      wasStopped_ = false;
      if (isKnown) return success();
      terminal_.takeAgain();
    }
    if (number == SIGWINCH && terminal_.isOpen()) {
      terminal_.copySize();
    } else if (sent) {
      pass(number);
    } else if (terminal_.isOpen()) {
      // In a session of its own nothing of the caller's terminal comes there.
      if (started_ > 0) return tellInit({Message::Kind::signal, number});
      pass(number);
    }
    // Else those of the terminal come to the whole group, and so to the program; but that it is closed to the leader of
    // the session alone, which without this process would be the program.
    if (!sent && number == SIGHUP && !terminal_.isOpen() && isSessionLeader()) pass(number);
    return success();
  }

  static bool isSessionLeader() { return sys::call(SYS_getsid, 0) == sys::processId(); }

  void pass(int signal) {
    if (process_.get() >= 0) {
      sys::signalProcess(process_.get(), signal);
      return;
    }
    // Before there is a program: it is this process that is meant.
    if (signal == SIGCONT || signal == SIGWINCH || signal == SIGTSTP || (ignoredSignals_ & bit(signal)) != 0) return;
    terminal_.restore();
    endInit();
    dieOf(signal);
  }

  /**
   * The program was stopped (Ctrl-Z): for the shell it is this process. Not before, as it may still read what is typed
   * for the shell. In a session of its own it may also be stopped because it wants the terminal, which may be to be
   * had.
   */
  Result stop(int signal) {
    if (!terminal_.isOpen()) {
      // Who reads in the background is stopped with its whole group; any other stop is of the program alone.
      if (signal == SIGTSTP) suspend();
      return success();
    }
    const bool wants = signal == SIGTTIN || signal == SIGTTOU;
    bool inForeground = wants && terminal_.take(true);
    if (!inForeground) {
      terminal_.restore();
      suspend();
      wasStopped_ = true;
      inForeground = terminal_.take(wants);
    }
    terminal_.copySize();
    return tellInit({Message::Kind::resume, inForeground ? 1 : 0});
  }

  static void suspend() { sys::kill(sys::processId(), SIGSTOP); }

  Result tellInit(Message message) {
    const int error = sendMessage(socket_.get(), message);
    // It has gone: that is told by the end of the socket.
    return error < 0 && error != -EPIPE ? failure(Step::waitForProgram, nullptr, error) : success();
  }

  /** Init ends what is below it as soon as there is no supervisor; at once where a PID namespace does that. */
  void endInit() {
    socket_.reset(-1);
    if (init_ > 0) {
      if (isConfined(part::pid) && !group_.isMade()) sys::kill(init_, SIGKILL);
      int status;
      while (sys::wait(init_, status, 0) == -EINTR) continue;
    }
    group_.remove();
  }

  /** As the program ended. */
  [[noreturn]] void leave() {
    terminal_.drain();
    terminal_.restore();
    // Init has done that, unless somebody ended it.
    if (group_.isMade()) {
      group_.kill();
      group_.remove();
    }
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
  ControlGroup& group_;
  uint64_t callersMask_ = 0;
  uint64_t ignoredSignals_ = 0;
  sys::Descriptor signals_;
  sys::Descriptor socket_;
  sys::Descriptor executing_;
  sys::Descriptor process_;
  Terminal terminal_;
  int init_ = -1;
  int started_ = 0;
  bool executed_ = false;
  bool failed_ = false;
  bool hasStatus_ = false;
  bool ended_ = false;
  bool wasStopped_ = false;
  int status_ = 0;
};

}  // namespace

void supervise(Launch& launch, const Program& program) {
  ControlGroup none;
  Supervisor supervisor(launch, program, launch.confined == nullptr ? none : launch.confined->group);
  supervisor.run();
}

}  // namespace appc
