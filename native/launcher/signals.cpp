#include "signals.h"

#include "sys.h"

namespace appc {
namespace {

// struct kernel_sigaction, of x86-64 and of aarch64: unlike libc's, and with a mask of 8 bytes.
struct Action {
  unsigned long handler = 0;
  unsigned long flags = 0;
  unsigned long restorer = 0;
  uint64_t mask = 0;
};

constexpr unsigned long ignore = 1;  // SIG_IGN
constexpr int brokenPipe = 13;       // SIGPIPE
constexpr int lastSignal = 64;

int changeAction(int signal, const Action* wanted, Action* old) {
  return static_cast<int>(sys::call(SYS_rt_sigaction, signal, sys::word(wanted), sys::word(old), sizeof(uint64_t)));
}

}  // namespace

uint64_t ignoredSignals() {
  uint64_t signals = 0;
  for (int signal = 1; signal <= lastSignal; ++signal) {
    Action action;
    if (changeAction(signal, nullptr, &action) == 0 && action.handler == ignore) signals |= 1ULL << (signal - 1);
  }
  return signals;
}

void ignoreAgain(uint64_t signals) {
  for (int signal = 1; signal <= lastSignal; ++signal) {
    if ((signals >> (signal - 1) & 1) == 0) continue;
    Action action;
    action.handler = ignore;
    // SIGKILL and SIGSTOP are refused, and cannot have been ignored either.
    changeAction(signal, &action, nullptr);
  }
}

void setDefaultAction(int signal) {
  const Action standard;
  changeAction(signal, &standard, nullptr);
}

long writeUnread(int fd, const void* bytes, size_t size) {
  Action ignored;
  ignored.handler = ignore;
  Action before;
  const bool changed = changeAction(brokenPipe, &ignored, &before) == 0;
  const long written = sys::write(fd, bytes, size);
  if (changed) changeAction(brokenPipe, &before, nullptr);
  return written;
}

}  // namespace appc
