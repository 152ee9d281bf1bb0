#include "session.h"

#include "environment.h"
#include "grants.h"
#include "memory.h"
#include "path-of.h"
#include "report.h"
#include "sys.h"
#include "text.h"

namespace appc {
namespace {

[[noreturn]] void noSuch(const char* feature, const char* because) {
  fail(Exit::failed, joined("cannot let through ", feature), nullptr, because, nullptr);
}

/** A socket in the runtime directory, or where the variable says that it is. */
const char* showSocket(const char* const* environment, const char* feature, const char* name,
                       Confinement& confinement) {
  const char* directory = findFilledVariable(environment, "XDG_RUNTIME_DIR");
  if (*name != '/' && (directory == nullptr || *directory != '/')) noSuch(feature, "XDG_RUNTIME_DIR is not set");
  const char* path = *name == '/' ? name : joined(joined(directory, "/"), name);
  show(confinement, path, true);
  return path;
}

/** DISPLAY is `:N` or `:N.SCREEN` for a server on this machine. */
void letX11Through(const char* const* environment, Confinement& confinement) {
  const char* display = findFilledVariable(environment, "DISPLAY");
  if (display == nullptr || *display != ':' || display[1] < '0' || display[1] > '9') {
    noSuch("x11", "DISPLAY names no display of this machine");
  }
  Text<64> socket;
  socket.add("/tmp/.X11-unix/X").addDecimal(parseDecimal(display + 1));
  show(confinement, joined(socket.get(), ""), true);
  const char* authority = findFilledVariable(environment, "XAUTHORITY");
  const bool isElsewhere = authority != nullptr && *authority == '/';
  show(confinement, isElsewhere ? authority : "~/.Xauthority", false);
  // Servers that ask for none have no such file.
  confinement.shown[confinement.shownCount - 1].isSystems = true;
}

}  // namespace

void showFeatures(const char* const* environment, Confinement& confinement) {
  const auto has = [&](uint32_t wanted) { return (confinement.features & wanted) != 0; };
  if (has(feature::wayland)) {
    const char* display = findFilledVariable(environment, "WAYLAND_DISPLAY");
    confinement.wayland = showSocket(environment, "wayland", display == nullptr ? "wayland-0" : display, confinement);
  }
  if (has(feature::x11)) letX11Through(environment, confinement);
  if (has(feature::pulse)) {
    const char* server = findFilledVariable(environment, "PULSE_SERVER");
    const bool isPath = server != nullptr && startsWith(server, "unix:/");
    confinement.pulse =
        showSocket(environment, "pulse", isPath ? server + strlen("unix:") : "pulse/native", confinement);
  }
}

void showResolver(Confinement& confinement) {
  if (!confinement.has(part::run) || confinement.has(part::net)) return;
  const sys::Descriptor file(sys::open(AT_FDCWD, "/etc/resolv.conf", O_PATH));
  if (file.error() != 0) return;
  PathText path;
  if (pathOf(file.get(), path) == 0 && isWithin(path.get(), "/run")) {
    show(confinement, joined(path.get(), ""), false);
  }
}

}  // namespace appc
