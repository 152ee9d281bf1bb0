// Word to a service manager: sd_notify(3). Node has no datagrams by AF_UNIX.
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "functions.h"
#include "sys.h"
#include "values.h"

namespace appc::addon {
namespace {

/** A negative errno on failure. A name that begins with @ is an abstract one: unix(7). */
int sendTo(const std::string& name, const std::string& text) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (name.empty() || name.size() >= sizeof address.sun_path) return -EINVAL;
  memcpy(address.sun_path, name.data(), name.size());
  if (name[0] == '@') address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  const sys::Descriptor socket(fd);
  const auto* to = reinterpret_cast<const sockaddr*>(&address);
  return ::sendto(socket.get(), text.data(), text.size(), MSG_NOSIGNAL, to, length) < 0 ? -errno : 0;
}

}  // namespace

Napi::Value sendDatagram(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::string name;
  std::string text;
  if (!toText(env, info[0], "name", name) || !toText(env, info[1], "text", text)) return env.Undefined();
  if (const int error = sendTo(name, text); error < 0) {
    toError(env, failure(Step::tellManager, name.c_str(), error)).ThrowAsJavaScriptException();
  }
  return env.Undefined();
}

}  // namespace appc::addon
