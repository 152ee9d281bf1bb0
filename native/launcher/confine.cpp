#include "confine.h"

#include "grants.h"
#include "memory.h"
#include "report.h"
#include "session.h"
#include "text.h"

namespace appc {
namespace {

constexpr const char* hint = "appc-run --help shows the words";

bool isDenied(const ConfinementWords& words, const char* need) {
  bool denied = false;
  for (size_t i = 0; i < words.denyCount; ++i) {
    forEachWord(words.deny[i], [&](const char* word) { denied = denied || equal(word, need); });
  }
  return denied;
}

}  // namespace

void addAllowed(ConfinementWords& words, const char* list) {
  if (words.allowCount == 32) fail(Exit::usage, "too many of", "--allow", "32 at most", hint);
  forEachWord(list, [](const char* word) {
    Confinement scratch;
    if (!grant(scratch, word)) fail(Exit::usage, "nothing that can be allowed:", word, nullptr, hint);
  });
  words.allow[words.allowCount++] = list;
}

void addDenied(ConfinementWords& words, const char* list) {
  if (words.denyCount == 32) fail(Exit::usage, "too many of", "--deny", "32 at most", hint);
  forEachWord(list, [](const char* word) {
    Confinement scratch;
    if (!grant(scratch, word)) fail(Exit::usage, "nothing that can be denied:", word, nullptr, hint);
  });
  words.deny[words.denyCount++] = list;
}

void addShown(ConfinementWords& words, const char* path, bool writable) {
  if (words.shownCount == maxShown) fail(Exit::usage, "too many paths to show:", path, "64 at most", nullptr);
  words.shown[words.shownCount++] = {path, writable};
}

void addKept(ConfinementWords& words, int fd) {
  if (words.keptCount == maxKept) fail(Exit::usage, "too many of", "--keep-fd", "64 at most", nullptr);
  words.kept[words.keptCount++] = fd;
}

void composeConfinement(const ConfinementWords& words, const Plan& plan, const char* const* environment,
                        Confinement& confinement) {
  confinement.parts = (words.sandbox ? part::all : words.parts) & ~words.without;
  if (words.sandbox) {
    for (const file::String& need : plan.needs()) {
      if (isDenied(words, plan.text(need))) continue;
      if (!grant(confinement, plan.text(need))) {
        fail(Exit::failed, "the container needs what this launcher does not know:", plan.text(need), nullptr,
             "refuse it by --deny, or install the current appc");
      }
    }
  }
  for (size_t i = 0; i < words.allowCount; ++i) {
    forEachWord(words.allow[i], [&](const char* word) { grant(confinement, word); });
  }
  for (size_t i = 0; i < words.shownCount; ++i) show(confinement, words.shown[i].path, words.shown[i].writable);
  for (size_t i = 0; i < words.limitCount; ++i) confinement.limits[confinement.limitCount++] = words.limits[i];
  confinement.group = words.group;
  for (size_t i = 0; i < words.keptCount; ++i) confinement.kept[confinement.keptCount++] = words.kept[i];
  // Where /run is the machine's the bus is within reach; the proxy would put its own socket in the place of the bus's.
  if (!confinement.has(part::run)) confinement.busNameCount = 0;
  showFeatures(environment, confinement);
  showResolver(confinement);
}

void changeEnvironment(const Confinement& confinement, uint32_t uid, Environment& environment) {
  if (confinement.has(part::tmp)) {
    environment.unset("TMPDIR");
    if ((confinement.features & feature::x11) == 0) environment.unset("DISPLAY");
  }
  if (!confinement.has(part::run)) return;
  environment.unset("WAYLAND_DISPLAY");
  environment.unset("PULSE_SERVER");
  environment.unset("DBUS_SESSION_BUS_ADDRESS");
  environment.unset("DBUS_SYSTEM_BUS_ADDRESS");
  // By their paths: where they are looked for else, in the runtime directory, is another place now.
  if (confinement.wayland != nullptr) environment.set(joined("WAYLAND_DISPLAY=", confinement.wayland));
  if (confinement.pulse != nullptr) environment.set(joined("PULSE_SERVER=unix:", confinement.pulse));
  Text<64> runtime;
  runtime.add("XDG_RUNTIME_DIR=/run/user/").addDecimal(uid);
  environment.set(joined(runtime.get(), ""));
  if (confinement.busNameCount > 0) {
    Text<128> bus;
    bus.add("DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/").addDecimal(uid).add("/bus");
    environment.set(joined(bus.get(), ""));
  }
}

}  // namespace appc
