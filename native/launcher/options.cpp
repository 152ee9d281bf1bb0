#include "options.h"

#include <errno.h>

#include "explain.h"
#include "help.h"
#include "limit-words.h"
#include "memory.h"
#include "report.h"
#include "sys.h"

#ifndef APPC_VERSION
#error "binding.gyp defines APPC_VERSION"
#endif

namespace appc {
namespace {

constexpr const char* hint = "appc-run --help shows how it is used";

[[noreturn]] void print(const char* text) {
  const size_t length = strlen(text);
  const bool written = sys::write(1, text, length) == static_cast<long>(length);
  sys::exit(written ? 0 : Exit::failed.status);
}

bool isNameCharacter(char c, bool first) {
  const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  return plain || (!first && (c == '.' || c == '_' || c == '-'));
}

bool isProgramPath(const char* word) { return word[0] == '/' || startsWith(word, "./") || startsWith(word, "../"); }

void parseSubject(const char* word, Options& options) {
  if (isProgramPath(word)) {
    options.program = word;
    return;
  }
  const char* at = word;
  for (; *at != '\0' && *at != '/'; ++at) {
    if (!isNameCharacter(*at, at == word)) break;
    options.container.add(*at);
  }
  if (at == word || (*at != '\0' && *at != '/') || !options.container.fits()) {
    fail(Exit::invalidName, "not a container's name:", word, nullptr,
         "names are up to 128 of a-z 0-9 . _ - and begin with a letter or digit; a program's path begins with / or ./");
  }
  if (*at == '\0') return;
  options.entry = at + 1;
  const bool isFileName = *options.entry != '\0' && lastComponent(options.entry) == options.entry &&
                          !equal(options.entry, ".") && !equal(options.entry, "..") && strlen(options.entry) <= 255;
  if (!isFileName) fail(Exit::invalidName, "not a program's name:", word, nullptr, "write NAME/ENTRY");
}

/** -1 for what is no descriptor, or one of the standard streams, or beyond those that are kept around Node (cold.cpp).
 */
int parseDescriptor(const char* value) {
  const uint64_t fd = parseDecimal(value);
  Text<32> digits;
  digits.addDecimal(fd);
  return equal(digits.get(), value) && fd >= 3 && fd <= 1023 ? static_cast<int>(fd) : -1;
}

int openDescriptor(const char* option, const char* value, bool isWritten) {
  const int fd = parseDescriptor(value);
  const long flags = fd < 0 ? -EBADF : sys::call(SYS_fcntl, fd, F_GETFL);
  const bool fits = flags >= 0 && !(isWritten && ((flags & O_ACCMODE) == O_RDONLY || (flags & O_PATH) != 0));
  if (fits) return fd;
  fail(Exit::usage, joined("no descriptor for ", option), value, nullptr,
       isWritten ? "it is one from 3 to 1023 that is open for writing" : "it is one from 3 to 1023 that is open");
}

void reportByDescriptor(const char* value) {
  const int error = reportTo(parseDescriptor(value));
  if (error == 0) return;
  fail(Exit::usage, "no descriptor for --error-fd:", value, errorText(-error), "it is one from 3 to 1023 that is open");
}

/** One option: `apply` gets its value, null for one that takes none. */
struct Option {
  const char* name;
  /** What its value is, for the error without one; null when it takes none. */
  const char* value;
  void (*apply)(Options& options, const char* value);
};

template <uint32_t Part>
void confine(Options& options, const char* /*value*/) {
  options.confinement.parts |= Part;
}

template <uint32_t Part>
void leave(Options& options, const char* /*value*/) {
  options.confinement.without |= Part;
}

constexpr Option known[] = {
    {"--help", nullptr, [](Options& /*options*/, const char* /*value*/) { print(help); }},
    {"--version", nullptr, [](Options& /*options*/, const char* /*value*/) { print("appc-run " APPC_VERSION "\n"); }},
    {"--root", "a directory",
     [](Options& options, const char* value) {
       if (options.root != nullptr) fail(Exit::usage, "given twice:", "--root", nullptr, hint);
       options.root = value;
     }},
    {"--lib", "a directory",
     [](Options& options, const char* value) {
       if (options.libraryCount == maxLibraryDirectories) {
         fail(Exit::usage, "too many of", "--lib", "64 at most", nullptr);
       }
       options.libraries[options.libraryCount++] = value;
     }},
    // From `appc exec` alone.
    {"--enter", "a list of descriptors", [](Options& options, const char* value) { options.enter = value; }},
    {"--confined-as", "PID:PARTS", [](Options& options, const char* value) { options.confinedAs = value; }},
    {"--replace", nullptr, [](Options& options, const char* /*value*/) { options.replace = true; }},
    {"--info", nullptr, [](Options& options, const char* /*value*/) { options.info = true; }},
    {"--sandbox", nullptr, [](Options& options, const char* /*value*/) { options.confinement.sandbox = true; }},
    {"--read-only", nullptr, confine<part::readOnly>},
    {"--private-tmp", nullptr, confine<part::tmp>},
    {"--private-home", nullptr, confine<part::home>},
    {"--private-run", nullptr, confine<part::run>},
    {"--private-dev", nullptr, confine<part::dev>},
    {"--unshare-pid", nullptr, confine<part::pid>},
    {"--unshare-ipc", nullptr, confine<part::ipc>},
    {"--unshare-uts", nullptr, confine<part::uts>},
    {"--unshare-net", nullptr, confine<part::net>},
    {"--new-session", nullptr, confine<part::session>},
    {"--seccomp", nullptr, confine<part::seccomp>},
    {"--no-seccomp", nullptr, leave<part::seccomp>},
    {"--landlock", nullptr, confine<part::landlock>},
    {"--no-landlock", nullptr, leave<part::landlock>},
    {"--drop-capabilities", nullptr, confine<part::capabilities>},
    {"--allow", "words", [](Options& options, const char* value) { addAllowed(options.confinement, value); }},
    {"--deny", "words", [](Options& options, const char* value) { addDenied(options.confinement, value); }},
    {"--ro", "a path", [](Options& options, const char* value) { addShown(options.confinement, value, false); }},
    {"--rw", "a path", [](Options& options, const char* value) { addShown(options.confinement, value, true); }},
    {"--limit", "NAME=VALUE", [](Options& options, const char* value) { addLimit(options.confinement, value); }},
    {"--keep-fd", "a descriptor",
     [](Options& options, const char* value) {
       addKept(options.confinement, openDescriptor("--keep-fd:", value, false));
     }},
    {"--status-fd", "a descriptor",
     [](Options& options, const char* value) { options.statusFd = openDescriptor("--status-fd:", value, true); }},
    {"--error-fd", "a descriptor", [](Options&, const char* value) { reportByDescriptor(value); }},
};

/** `--name`, `--name VALUE` or `--name=VALUE`. Moves `argv` to the next word. */
void parseOption(const char* const*& argv, Options& options) {
  const char* word = *argv++;
  for (const Option& option : known) {
    if (!startsWith(word, option.name)) continue;
    const char* rest = word + strlen(option.name);
    if (*rest != '\0' && (*rest != '=' || option.value == nullptr)) continue;
    if (option.value == nullptr) return option.apply(options, nullptr);
    const char* value = *rest == '=' ? rest + 1 : *argv;
    if (value == nullptr || *value == '\0') {
      fail(Exit::usage, joined(joined("this option needs ", option.value), ":"), option.name, nullptr, hint);
    }
    if (*rest != '=') ++argv;
    return option.apply(options, value);
  }
  fail(Exit::usage, "unknown option", word, nullptr, hint);
}

}  // namespace

void parseOptions(const char* const* argv, Options& options) {
  if (*argv != nullptr) ++argv;
  while (*argv != nullptr && **argv == '-' && !equal(*argv, "--")) parseOption(argv, options);
  if (*argv != nullptr && equal(*argv, "--")) ++argv;
  if (*argv == nullptr) fail(Exit::usage, "nothing to run", nullptr, nullptr, hint);
  options.arguments = argv + 1;
  if (options.enter != nullptr) {
    options.program = *argv;
    return;
  }
  parseSubject(*argv, options);
  if (options.libraryCount > 0 && options.program == nullptr) {
    fail(Exit::usage, "--lib goes with a program, not with the container", options.container.get(), nullptr,
         "a container brings its own libraries; a program's path begins with / or ./");
  }
  if (options.replace && options.program != nullptr) {
    fail(Exit::usage, "--replace goes with a container, not with the program", options.program, nullptr, hint);
  }
}

}  // namespace appc
