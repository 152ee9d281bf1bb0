#include "confine.h"

#include <errno.h>

#include "explain.h"
#include "memory.h"
#include "path-of.h"
#include "report.h"
#include "sys.h"
#include "text.h"

namespace appc {
namespace {

constexpr const char* hint = "appc-run --help shows the words";

struct Word {
  const char* name;
  /** The part that is not confined then. */
  uint32_t part;
  uint32_t feature;
};

constexpr Word knownWords[] = {
    {"tmp", part::tmp, 0},         {"home", part::home, 0},
    {"run", part::run, 0},         {"dev", part::dev, 0},
    {"pid", part::pid, 0},         {"ipc", part::ipc, 0},
    {"uts", part::uts, 0},         {"net", part::net, 0},
    {"session", part::session, 0}, {"wayland", 0, feature::wayland},
    {"x11", 0, feature::x11},      {"pulse", 0, feature::pulse},
    {"gpu", 0, feature::gpu},
};

/** What is not private any more can be written to, as far as its owner and mode let the user. */
struct Opened {
  uint32_t part;
  const char* path;
};
constexpr Opened openedPaths[] = {
    {part::tmp, "/tmp"}, {part::tmp, "/var/tmp"}, {part::home, "~"}, {part::run, "/run"}, {part::dev, "/dev"},
};

constexpr const char* busPrefix = "dbus=";

const Word* findWord(const char* text) {
  for (const Word& word : knownWords) {
    if (equal(word.name, text)) return &word;
  }
  return nullptr;
}

/** As the D-Bus specification has names, and `.*` at the end for all below. */
bool isBusName(const char* name) {
  size_t length = 0;
  for (; name[length] != '\0'; ++length) {
    const char c = name[length];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
    const bool digit = c >= '0' && c <= '9';
    const bool all = c == '*' && name[length + 1] == '\0' && length > 1 && name[length - 1] == '.';
    if (!letter && !all && !((digit || c == '.') && length > 0)) return false;
  }
  return length > 0 && length <= 255;
}

bool isPath(const char* text) {
  return text[0] == '/' || equal(text, "~") || startsWith(text, "~/") || startsWith(text, "./") ||
         startsWith(text, "../");
}

void show(Confinement& confinement, const char* path, bool writable) {
  if (confinement.shownCount == maxShown) fail(Exit::usage, "too many paths to show:", path, "64 at most", nullptr);
  confinement.shown[confinement.shownCount++] = {path, writable};
}

/** False for a word that means nothing. */
bool grant(Confinement& confinement, const char* text) {
  if (const Word* word = findWord(text); word != nullptr) {
    const bool confined = confinement.has(word->part);
    confinement.parts &= ~word->part;
    confinement.features |= word->feature;
    for (const Opened& opened : openedPaths) {
      if (confined && opened.part == word->part && confinement.has(part::readOnly)) {
        show(confinement, opened.path, true);
      }
    }
    return true;
  }
  if (startsWith(text, busPrefix)) {
    const char* name = text + strlen(busPrefix);
    if (!isBusName(name)) return false;
    if (confinement.busNameCount == maxBusNames) fail(Exit::usage, "too many of", "dbus=", "32 at most", nullptr);
    confinement.busNames[confinement.busNameCount++] = name;
    return true;
  }
  const bool writable = startsWith(text, "rw=");
  if ((!writable && !startsWith(text, "ro=")) || !isPath(text + 3)) return false;
  show(confinement, text + 3, writable);
  return true;
}

/** Calls visit for each word of a list with commas. */
template <typename Visit>
void forEachWord(const char* list, Visit visit) {
  for (;;) {
    const char* end = list;
    while (*end != '\0' && *end != ',') ++end;
    auto* word = const_cast<char*>(joined(list, ""));
    word[end - list] = '\0';
    visit(static_cast<const char*>(word));
    if (*end == '\0') return;
    list = end + 1;
  }
}

bool isDenied(const ConfinementWords& words, const char* need) {
  bool denied = false;
  for (size_t i = 0; i < words.denyCount; ++i) {
    forEachWord(words.deny[i], [&](const char* word) { denied = denied || equal(word, need); });
  }
  return denied;
}

/** Digits with K, M, G, T behind them (powers of 1024), or "unlimited" (all bits). */
bool parseSize(const char* text, uint64_t& value) {
  if (equal(text, "unlimited")) {
    value = ~0ULL;
    return true;
  }
  const char* at = text;
  value = 0;
  for (; *at >= '0' && *at <= '9'; ++at) {
    if (value >= 1ULL << 40) return false;
    value = value * 10 + static_cast<unsigned>(*at - '0');
  }
  if (at == text) return false;
  constexpr const char* units = "KMGT";
  for (unsigned unit = 0; unit < 4; ++unit) {
    if (*at != units[unit]) continue;
    if (value >= 1ULL << 23) return false;
    value <<= 10 * (unit + 1);
    ++at;
    break;
  }
  return *at == '\0';
}

/** A control group has limits or none, but no unlimited ones; and with nothing at all no program starts. */
bool isSome(uint64_t value) { return value != 0 && value != ~0ULL; }

/** `2` or `0.5`, in thousandths. */
bool parseProcessors(const char* text, uint64_t& thousandths) {
  const char* at = text;
  uint64_t value = 0;
  unsigned decimals = 0;
  for (bool point = false; *at != '\0'; ++at) {
    if (*at == '.' && !point && at != text) {
      point = true;
      continue;
    }
    if (*at < '0' || *at > '9' || value > 1000000 || decimals == 3) return false;
    value = value * 10 + static_cast<unsigned>(*at - '0');
    if (point) ++decimals;
  }
  for (; decimals < 3; ++decimals) value *= 10;
  thousandths = value;
  return value > 0;
}

struct Resource {
  const char* name;
  int resource;
};
constexpr Resource resources[] = {
    {"as", RLIMIT_AS},       {"core", RLIMIT_CORE},       {"cpu", RLIMIT_CPU},       {"data", RLIMIT_DATA},
    {"fsize", RLIMIT_FSIZE}, {"memlock", RLIMIT_MEMLOCK}, {"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC},
    {"stack", RLIMIT_STACK}, {"rtprio", RLIMIT_RTPRIO},   {"nice", RLIMIT_NICE},     {"msgqueue", RLIMIT_MSGQUEUE},
};

const char* variable(const char* const* environment, const char* name) { return findFilledVariable(environment, name); }

[[noreturn]] void noSuch(const char* feature, const char* because) {
  fail(Exit::failed, joined("cannot let through ", feature), nullptr, because, nullptr);
}

/** A socket in the runtime directory, or where the variable says that it is. */
const char* runtimePath(const char* const* environment, const char* feature, const char* name) {
  if (*name == '/') return name;
  const char* directory = variable(environment, "XDG_RUNTIME_DIR");
  if (directory == nullptr || *directory != '/') noSuch(feature, "XDG_RUNTIME_DIR is not set");
  return joined(joined(directory, "/"), name);
}

/** DISPLAY is `:N` or `:N.SCREEN` for a server on this machine. */
void letX11Through(const char* const* environment, Confinement& confinement) {
  const char* display = variable(environment, "DISPLAY");
  if (display == nullptr || *display != ':' || display[1] < '0' || display[1] > '9') {
    noSuch("x11", "DISPLAY names no display of this machine");
  }
  Text<64> socket;
  socket.add("/tmp/.X11-unix/X").addDecimal(parseDecimal(display + 1));
  show(confinement, joined(socket.get(), ""), true);
  const char* authority = variable(environment, "XAUTHORITY");
  if (authority != nullptr && *authority == '/') show(confinement, authority, false);
}

void letThrough(const char* const* environment, Confinement& confinement) {
  const auto has = [&](uint32_t wanted) { return (confinement.features & wanted) != 0; };
  if (has(feature::wayland)) {
    const char* display = variable(environment, "WAYLAND_DISPLAY");
    show(confinement, runtimePath(environment, "wayland", display == nullptr ? "wayland-0" : display), true);
  }
  if (has(feature::x11)) letX11Through(environment, confinement);
  if (has(feature::pulse)) show(confinement, runtimePath(environment, "pulse", "pulse/native"), true);
}

/** The resolver's configuration is a link into /run where a service writes it. */
void showResolver(Confinement& confinement) {
  if (!confinement.has(part::run) || confinement.has(part::net)) return;
  const sys::Descriptor file(sys::open(AT_FDCWD, "/etc/resolv.conf", O_PATH));
  if (file.error() != 0) return;
  PathText path;
  if (pathOf(file.get(), path) == 0 && isWithin(path.get(), "/run")) {
    show(confinement, joined(path.get(), ""), false);
  }
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

void addLimit(ConfinementWords& words, const char* text) {
  const char* equals = text;
  while (*equals != '\0' && *equals != '=') ++equals;
  const auto nameIs = [&](const char* name) {
    return strlen(name) == static_cast<size_t>(equals - text) && startsWith(text, name);
  };
  const char* value = *equals == '=' ? equals + 1 : equals;
  bool valid = false;
  if (nameIs("memory")) {
    valid = parseSize(value, words.group.memory) && isSome(words.group.memory);
  } else if (nameIs("pids")) {
    valid = parseSize(value, words.group.processes) && isSome(words.group.processes);
  } else if (nameIs("cpus")) {
    valid = parseProcessors(value, words.group.processors);
  }
  for (const Resource& resource : resources) {
    if (!nameIs(resource.name) || words.limitCount == maxLimits) continue;
    ProcessLimit& limit = words.limits[words.limitCount++];
    limit = {resource.name, resource.resource, 0};
    valid = parseSize(value, limit.value);
  }
  if (!valid)
    fail(Exit::usage, "no limit:", text, nullptr, "write --limit nofile=1024, memory=512M, pids=100, cpus=1.5");
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
  letThrough(environment, confinement);
  showResolver(confinement);
}

void changeEnvironment(const Confinement& confinement, uint32_t uid, Environment& environment) {
  const auto lacks = [&](uint32_t wanted) { return (confinement.features & wanted) == 0; };
  if (confinement.has(part::tmp)) {
    environment.unset("TMPDIR");
    if (lacks(feature::x11)) environment.unset("DISPLAY");
  }
  if (!confinement.has(part::run)) return;
  if (lacks(feature::wayland)) environment.unset("WAYLAND_DISPLAY");
  if (lacks(feature::pulse)) environment.unset("PULSE_SERVER");
  Text<64> runtime;
  runtime.add("XDG_RUNTIME_DIR=/run/user/").addDecimal(uid);
  environment.set(joined(runtime.get(), ""));
  environment.unset("DBUS_SESSION_BUS_ADDRESS");
  environment.unset("DBUS_SYSTEM_BUS_ADDRESS");
  if (confinement.busNameCount > 0) {
    Text<128> bus;
    bus.add("DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/").addDecimal(uid).add("/bus");
    environment.set(joined(bus.get(), ""));
  }
}

}  // namespace appc
