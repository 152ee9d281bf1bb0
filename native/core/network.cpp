#include "network.h"

#include <linux/if.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/socket.h>

#include "process.h"

namespace appc {

Result raiseLoopback() {
  const sys::Descriptor socket(static_cast<int>(sys::call(SYS_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
  if (socket.error() != 0) return failure(Step::raiseLoopback, "lo", socket.error());
  struct ifreq request = {};
  memcpy(request.ifr_name, "lo", 3);
  int error = sys::ioctl(socket.get(), SIOCGIFFLAGS, &request);
  if (error < 0) return failure(Step::raiseLoopback, "lo", error);
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  error = sys::ioctl(socket.get(), SIOCSIFFLAGS, &request);
  return error < 0 ? failure(Step::raiseLoopback, "lo", error) : success();
}

}  // namespace appc
