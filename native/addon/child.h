// Work in a child process: one with threads, as Node is, may not enter a user namespace, and what a process enters or
// gives up it does for good. In the child raw system calls only, and nothing may be allocated.
#pragma once

#include <errno.h>
#include <string.h>

#include "process.h"
#include "result.h"
#include "sys.h"

namespace appc::addon {

/** A Result whose path is still there when the child is not. */
struct Told {
  Step step = Step::none;
  int error = 0;
  bool hasPath = false;
  char path[4096] = {};

  Told() = default;
  explicit Told(const Result& result) : step(result.step), error(result.error), hasPath(result.path != nullptr) {
    if (!hasPath) return;
    const size_t length = strnlen(result.path, sizeof path - 1);
    memcpy(path, result.path, length);
  }
  Result result() const { return {step, hasPath ? path : nullptr, error}; }
};

/** What `work` returns, a Told, in a child that was started with these CLONE_* flags. */
template <typename Work>
Told inChild(Work work, unsigned long flags = 0) {
  int ends[2];
  if (const int error = sys::pipe(ends); error < 0) return Told(failure(Step::startProcess, nullptr, error));
  const sys::Descriptor reading(ends[0]);
  sys::Descriptor writing(ends[1]);
  const int pid = sys::fork(flags);
  if (pid < 0) return Told(failure(Step::startProcess, nullptr, pid));
  if (pid == 0) {
    const Told told = work();
    sys::write(writing.get(), &told, sizeof told);
    sys::exit(0);
  }
  writing.reset(-1);
  Told told;
  size_t filled = 0;
  while (filled < sizeof told) {
    const long count = sys::read(reading.get(), reinterpret_cast<char*>(&told) + filled, sizeof told - filled);
    if (count == -EINTR) continue;
    if (count <= 0) break;
    filled += static_cast<size_t>(count);
  }
  int status = 0;
  while (sys::wait(pid, status, 0) == -EINTR) continue;
  return filled == sizeof told ? told : Told(failure(Step::startProcess, nullptr, EIO));
}

}  // namespace appc::addon
