#pragma once

#include "confinement.h"
#include "result.h"
#include "sys.h"

namespace appc {

/**
 * The way to the user's D-Bus through xdg-dbus-proxy, which lets the names pass that are allowed. The proxy is a child
 * of the supervisor, outside of the program's PID namespace, and ends with it.
 */
class BusProxy {
 public:
  /** Finds the bus while it can be seen; nothing where no name is allowed. Exits when there is none. */
  void open(const Confinement& confinement, const char* const* environment);
  /** Starts it, in the place where the program will look for the bus, and waits until it listens. */
  Result start(const Confinement& confinement, const char* const* environment, uint32_t uid);

 private:
  sys::Descriptor bus_;
  sys::Descriptor alive_;
};

}  // namespace appc
