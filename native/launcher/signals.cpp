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
constexpr int lastSignal = 64;

int changeAction(int signal, const Action* wanted, Action* old) {
  return static_cast<int>(sys::call(SYS_rt_sigaction, signal, sys::word(wanted), sys::word(old), sizeof(uint64_t)));
}

uint64_t parseHex(const char* text) {
  uint64_t value = 0;
  for (;; ++text) {
    if (*text >= '0' && *text <= '9') {
      value = value << 4 | static_cast<unsigned>(*text - '0');
    } else if (*text >= 'a' && *text <= 'f') {
      value = value << 4 | static_cast<unsigned>(*text - 'a' + 10);
    } else {
      return value;
    }
  }
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

void ignoreAgain(const char* value) {
  while (value != nullptr && *value != '\0' && *value != ':') ++value;
  if (value == nullptr || *value == '\0') return;
  const uint64_t signals = parseHex(value + 1);
  for (int signal = 1; signal <= lastSignal; ++signal) {
    if ((signals >> (signal - 1) & 1) == 0) continue;
    Action action;
    action.handler = ignore;
    // SIGKILL and SIGSTOP are refused, and cannot have been ignored either.
    changeAction(signal, &action, nullptr);
  }
}

}  // namespace appc
