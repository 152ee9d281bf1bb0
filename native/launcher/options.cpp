#include "options.h"

#include "report.h"
#include "sys.h"

#ifndef APPC_VERSION
#error "binding.gyp defines APPC_VERSION"
#endif

namespace appc {
namespace {

constexpr const char* help =
    "Run a program of a container, or any program with its libraries resolved anew.\n"
    "\n"
    "  appc-run hello                     the first program of the container hello\n"
    "  appc-run tools/jq . data.json      the program jq of the container tools\n"
    "  appc-run --lib ./lib ./program     a program of this machine, with libraries from ./lib where it needs them\n"
    "\n"
    "Usage: appc-run [--root DIR] NAME[/ENTRY] [ARG...]\n"
    "       appc-run [--root DIR] [--lib DIR]... ./PROGRAM [ARG...]\n"
    "\n"
    "  --root DIR   the tree at DIR serves as the host\n"
    "  --lib DIR    offer the libraries in DIR, besides the host's; may be repeated\n"
    "  --help       this text\n"
    "  --version    the version\n"
    "\n"
    "Exit status: 125 appc itself failed, 126 the program cannot be executed, 127 there is no such program; else the\n"
    "program's own.\n"
    "Environment: APPC_HOME, the store (default /var/lib/appc for root, else ~/.local/share/appc).\n";

constexpr const char* hint = "appc-run --help shows how it is used";

[[noreturn]] void print(const char* text) {
  const size_t length = strlen(text);
  const bool written = sys::write(1, text, length) == static_cast<long>(length);
  sys::exit(static_cast<int>(written ? Exit::success : Exit::failed));
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
    fail(Exit::failed, "not a container's name:", word, nullptr,
         "names are up to 128 of a-z 0-9 . _ - and begin with a letter or digit; a program's path begins with / or ./");
  }
  if (*at == '\0') return;
  options.entry = at + 1;
  const bool isFileName = *options.entry != '\0' && lastComponent(options.entry) == options.entry &&
                          !equal(options.entry, ".") && !equal(options.entry, "..") && strlen(options.entry) <= 255;
  if (!isFileName) fail(Exit::failed, "not a program's name:", word, nullptr, "write NAME/ENTRY");
}

/** The value of `--name VALUE` or `--name=VALUE`, null when `argument` is another option. Moves `argv` to the next. */
const char* optionValue(const char* name, const char* const*& argv) {
  if (!startsWith(*argv, name)) return nullptr;
  const char* rest = *argv + strlen(name);
  const char* value = nullptr;
  if (*rest == '=') {
    value = rest + 1;
  } else if (*rest == '\0') {
    value = *++argv;
  } else {
    return nullptr;
  }
  if (value == nullptr || *value == '\0') fail(Exit::failed, "this option needs a directory:", name, nullptr, hint);
  ++argv;
  return value;
}

}  // namespace

void parseOptions(const char* const* argv, Options& options) {
  if (*argv != nullptr) ++argv;
  while (*argv != nullptr && **argv == '-') {
    if (equal(*argv, "--")) {
      ++argv;
      break;
    }
    if (equal(*argv, "--help")) print(help);
    if (equal(*argv, "--version")) print("appc-run " APPC_VERSION "\n");
    if (const char* root = optionValue("--root", argv); root != nullptr) {
      if (options.root != nullptr) fail(Exit::failed, "given twice:", "--root", nullptr, hint);
      options.root = root;
    } else if (const char* library = optionValue("--lib", argv); library != nullptr) {
      if (options.libraryCount == maxLibraryDirectories)
        fail(Exit::failed, "too many of", "--lib", "64 at most", nullptr);
      options.libraries[options.libraryCount++] = library;
    } else {
      fail(Exit::failed, "unknown option", *argv, nullptr, hint);
    }
  }
  if (*argv == nullptr) fail(Exit::failed, "nothing to run", nullptr, nullptr, hint);
  parseSubject(*argv, options);
  options.arguments = argv + 1;
  if (options.libraryCount > 0 && options.program == nullptr) {
    fail(Exit::failed, "--lib goes with a program, not with the container", options.container.get(), nullptr,
         "a container brings its own libraries; a program's path begins with / or ./");
  }
}

}  // namespace appc
