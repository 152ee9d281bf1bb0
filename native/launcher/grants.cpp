#include "grants.h"

#include "report.h"
#include "text.h"

namespace appc {
namespace {

struct Word {
  const char* name;
  /** The part that is not confined then. */
  uint32_t part;
  uint32_t feature;
};

// What ~/.Xauthority holds is for the machine's own host name.
constexpr Word knownWords[] = {
    {"tmp", part::tmp, 0},
    {"home", part::home, 0},
    {"run", part::run, 0},
    {"dev", part::dev, 0},
    {"pid", part::pid, 0},
    {"ipc", part::ipc, 0},
    {"uts", part::uts, 0},
    {"net", part::net, 0},
    {"session", part::session, 0},
    {"wayland", 0, feature::wayland},
    {"x11", part::uts, feature::x11},
    {"pulse", 0, feature::pulse},
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

}  // namespace

void show(Confinement& confinement, const char* path, bool writable) {
  if (confinement.shownCount == maxShown) fail(Exit::usage, "too many paths to show:", path, "64 at most", nullptr);
  confinement.shown[confinement.shownCount++] = {path, writable};
}

bool grant(Confinement& confinement, const char* text) {
  if (const Word* word = findWord(text); word != nullptr) {
    const bool confined = confinement.has(word->part);
    confinement.parts &= ~word->part;
    confinement.features |= word->feature;
    for (const Opened& opened : openedPaths) {
      if (confined && opened.part == word->part && confinement.has(part::readOnly)) {
        show(confinement, opened.path, true);
        confinement.shown[confinement.shownCount - 1].isSystems = true;
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

}  // namespace appc
