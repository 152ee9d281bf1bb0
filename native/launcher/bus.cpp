#include "bus.h"

#include <errno.h>

#include <initializer_list>

#include "environment.h"
#include "explain.h"
#include "memory.h"
#include "process.h"
#include "report.h"
#include "text.h"

namespace appc {
namespace {

constexpr const char* program = "xdg-dbus-proxy";

/** `unix:path=PATH` up to a comma (dbus-daemon adds a guid); null for an address of another kind. */
const char* socketOf(const char* address) {
  constexpr const char* prefix = "unix:path=";
  if (!startsWith(address, prefix)) return nullptr;
  PathText path;
  for (const char* at = address + strlen(prefix); *at != '\0' && *at != ',' && *at != ';'; ++at) path.add(*at);
  return path.fits() ? joined(path.get(), "") : nullptr;
}

const char* findBus(const char* const* environment) {
  const char* address = findFilledVariable(environment, "DBUS_SESSION_BUS_ADDRESS");
  if (address != nullptr) return socketOf(address);
  const char* directory = findFilledVariable(environment, "XDG_RUNTIME_DIR");
  return directory == nullptr ? nullptr : joined(directory, "/bus");
}

/** Comes back when none is on PATH. */
void executeOnPath(const char* const* arguments, const char* const* environment) {
  const char* at = findVariable(environment, "PATH");
  while (at != nullptr && *at != '\0') {
    PathText candidate;
    while (*at != '\0' && *at != ':') candidate.add(*at++);
    if (*at == ':') ++at;
    candidate.add('/').add(program);
    // A relative directory would run whatever the working directory holds.
    if (candidate.get()[0] == '/' && candidate.fits()) sys::execve(candidate.get(), arguments, environment);
  }
}

}  // namespace

void BusProxy::open(const Confinement& confinement, const char* const* environment) {
  if (confinement.busNameCount == 0) return;
  if (!confinement.has(part::pid)) {
    fail(Exit::usage, "cannot let through dbus", nullptr,
         "a program that sees the proxy's process gets by /proc at what the proxy holds", "give --unshare-pid too");
  }
  const char* socket = findBus(environment);
  if (socket == nullptr) {
    fail(Exit::failed, "cannot let through dbus", nullptr, "there is no session bus with a socket that has a path",
         "DBUS_SESSION_BUS_ADDRESS says where it is, as unix:path=/run/user/1000/bus");
  }
  bus_.reset(sys::open(AT_FDCWD, socket, O_PATH));
  if (bus_.error() != 0) fail(Exit::failed, "cannot let through dbus:", socket, errorText(bus_.error()), nullptr);
}

Result BusProxy::start(const Confinement& confinement, const char* const* environment, uint32_t uid) {
  if (confinement.busNameCount == 0) return success();
  int ends[2];
  if (const int error = sys::pipe(ends); error < 0) return failure(Step::startBusProxy, program, error);
  alive_.reset(ends[0]);
  sys::Descriptor proxysEnd(ends[1]);
  // The bus is covered by now. A magic link leads to it still, which a descriptor's number names to nobody else.
  Text<64> address;
  address.add("unix:path=/proc/self/fd/").addDecimal(static_cast<uint64_t>(bus_.get()));
  Text<64> own;
  own.add("/run/user/").addDecimal(uid).add("/bus");
  Text<32> descriptor;
  descriptor.add("--fd=").addDecimal(static_cast<uint64_t>(proxysEnd.get()));
  const char** arguments = allocatePointers(6 + confinement.busNameCount);
  size_t count = 0;
  for (const char* argument : {program, descriptor.get(), address.get(), own.get(), "--filter"}) {
    arguments[count++] = argument;
  }
  for (size_t i = 0; i < confinement.busNameCount; ++i) {
    arguments[count++] = joined("--talk=", confinement.busNames[i]);
  }
  const int child = sys::fork();
  if (child < 0) return failure(Step::startBusProxy, program, child);
  if (child == 0) {
    const uint64_t none = 0;
    sys::changeSignalMask(SIG_SETMASK, &none, nullptr);
    // Keys like Ctrl-C are meant for the program, which may live on.
    sys::setProcessGroup(0, 0);
    // The caller's are the program's alone.
    sys::closeOnExecFrom(3);
    sys::setDescriptorFlags(proxysEnd.get(), 0);
    sys::setDescriptorFlags(bus_.get(), 0);
    executeOnPath(arguments, environment);
    sys::exit(Exit::notFound.status);
  }
  proxysEnd.reset(-1);
  // A byte when it listens; the end when it is not there or gave up.
  char ready;
  long got = -EINTR;
  while (got == -EINTR) got = sys::read(alive_.get(), &ready, 1);
  bus_.reset(-1);
  if (got == 1) return success();
  return failure(Step::startBusProxy, program, got < 0 ? static_cast<int>(got) : ENOENT);
}

}  // namespace appc
