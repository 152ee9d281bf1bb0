// What init and the program tell the supervisor, over a socket that keeps messages whole. Its end means that nobody is
// there any more, on either side: that holds after kill -9 too, unlike the parent-death signal, which comes to nothing
// when the parent died before it was set.
#pragma once

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "process.h"
#include "sys.h"

namespace appc {

struct Message {
  enum class Kind : uint32_t {
    /** From the program's process, whose id in the supervisor's namespace the kernel adds. */
    starting = 1,
    /** `value`: the signal that stopped it. */
    stopped = 2,
    /** `value`: the status as of wait(2). */
    exited = 3,
    /** To init: have the program continue. `value`: 1 in the foreground of its terminal, 0 in its background. */
    resume = 4,
    /** To init: a signal of the caller's terminal, for the program's whole group. */
    signal = 5,
  };
  Kind kind;
  int value;
};

inline int sendMessage(int socket, Message message) {
  long sent = -EINTR;
  while (sent == -EINTR) {
    sent = sys::call(SYS_sendto, socket, sys::word(&message), sizeof message, MSG_NOSIGNAL, 0, 0);
  }
  return sent < 0 ? static_cast<int>(sent) : 0;
}

/**
 * 1 with a message, 0 at the end, or a negative errno; -EAGAIN without one. `sender`: the process id where the socket
 * has SO_PASSCRED, else 0.
 */
inline int receiveMessage(int socket, Message& message, int& sender) {
  alignas(struct cmsghdr) char control[CMSG_SPACE(3 * sizeof(uint32_t))];
  struct iovec part = {&message, sizeof message};
  struct msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  long count = -EINTR;
  while (count == -EINTR) count = sys::call(SYS_recvmsg, socket, sys::word(&header), MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (count <= 0) return static_cast<int>(count);
  sender = 0;
  const struct cmsghdr* credentials = CMSG_FIRSTHDR(&header);
  // struct ucred begins with the process id; SCM_CREDENTIALS is 2.
  if (credentials != nullptr && credentials->cmsg_type == 2) {
    sender = *reinterpret_cast<const int*>(CMSG_DATA(credentials));
  }
  return count == sizeof message ? 1 : -EBADMSG;
}

}  // namespace appc
