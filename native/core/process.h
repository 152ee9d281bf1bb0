// System calls about processes, straight to the kernel like those of sys.h: starting, awaiting and signalling them, and
// what they may do.
#pragma once

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "sys.h"

namespace appc::sys {

/** As fork(2), with these CLONE_* flags besides: the process id in the parent, 0 in the child. */
inline int fork(unsigned long flags = 0) {
  return static_cast<int>(call(SYS_clone, static_cast<long>(flags | SIGCHLD), 0, 0, 0, 0));
}
inline int processId() { return static_cast<int>(call(SYS_getpid)); }
inline int control(int option, unsigned long a = 0, unsigned long b = 0, unsigned long c = 0, unsigned long d = 0) {
  return static_cast<int>(call(SYS_prctl, option, word(a), word(b), word(c), word(d)));
}
/** Process id, 0 with WNOHANG when there is nothing to tell. */
inline int wait(int pid, int& status, int options) {
  return static_cast<int>(call(SYS_wait4, pid, word(&status), options, 0));
}
inline int kill(int pid, int signal) { return static_cast<int>(call(SYS_kill, pid, signal)); }
inline int openProcess(int pid) { return static_cast<int>(call(SYS_pidfd_open, pid, 0)); }
inline int signalProcess(int process, int signal) {
  return static_cast<int>(call(SYS_pidfd_send_signal, process, signal, 0, 0));
}
/** Signal sets as the kernel has them: bit N-1 for signal N. */
inline int changeSignalMask(int how, const uint64_t* wanted, uint64_t* old) {
  return static_cast<int>(call(SYS_rt_sigprocmask, how, word(wanted), word(old), sizeof(uint64_t)));
}
inline int signalDescriptor(uint64_t signals) {
  return static_cast<int>(call(SYS_signalfd4, -1, word(&signals), sizeof signals, SFD_CLOEXEC | SFD_NONBLOCK));
}
/** Waits without an end. */
inline int poll(struct pollfd* descriptors, unsigned count) {
  return static_cast<int>(call(SYS_ppoll, word(descriptors), count, 0, 0, sizeof(uint64_t)));
}
inline int pipe(int (&ends)[2], int flags = 0) {
  return static_cast<int>(call(SYS_pipe2, word(ends), O_CLOEXEC | flags));
}
inline int socketPair(int (&ends)[2]) {
  return static_cast<int>(call(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, word(ends)));
}
inline int ioctl(int fd, unsigned long request, const void* argument) {
  return static_cast<int>(call(SYS_ioctl, fd, word(request), word(argument)));
}
inline int ioctl(int fd, unsigned long request, long argument) {
  return static_cast<int>(call(SYS_ioctl, fd, word(request), argument));
}
inline int duplicate(int fd, int onto) { return static_cast<int>(call(SYS_dup3, fd, onto, 0)); }
inline int newSession() { return static_cast<int>(call(SYS_setsid)); }
inline int setProcessGroup(int pid, int group) { return static_cast<int>(call(SYS_setpgid, pid, group)); }

}  // namespace appc::sys
