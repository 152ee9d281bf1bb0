#include "request.h"

#include <errno.h>
#include <linux/limits.h>
#include <string.h>

#include "environment.h"
#include "explain.h"
#include "guards.h"
#include "memory.h"
#include "path-of.h"
#include "report.h"
#include "sys.h"

namespace appc {
namespace {

/** FNV-1a, 64 bits, over NUL-terminated strings. */
class Fnv {
 public:
  void add(const char* text) {
    do {
      hash_ = (hash_ ^ static_cast<uint8_t>(*text)) * 0x100000001b3ULL;
    } while (*text++ != '\0');
  }
  uint64_t get() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325ULL;
};

const char* realDirectory(const char* path) {
  const sys::Descriptor directory(sys::open(AT_FDCWD, path, O_PATH | O_DIRECTORY));
  PathText real;
  const int error = directory.error() != 0 ? -directory.error() : pathOf(directory.get(), real);
  if (error < 0) fail(Exit::failed, failure(Step::openDirectory, path, error));
  return copied(real.get(), real.length());
}

/** With --root a program is first looked for in the tree, as it will be inside. */
int openProgram(const char* program, const char* root, const char* workingDirectory) {
  // Without a path of the working directory (it was removed, or lies outside of the root directory) there is no telling
  // what would be there in the tree.
  if (root != nullptr && (*program == '/' || *workingDirectory == '/')) {
    const sys::Descriptor tree(sys::open(AT_FDCWD, root, O_PATH | O_DIRECTORY));
    if (tree.error() != 0) return -tree.error();
    PathText inside;
    if (*program != '/') inside.add(workingDirectory).add('/');
    inside.add(program);
    const int fd = inside.fits()
                       ? sys::openResolved(tree.get(), inside.get(), O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
                       : -ENAMETOOLONG;
    if (!isAbsent(fd)) return fd;
  }
  return sys::open(AT_FDCWD, program, O_PATH);
}

void resolveProgram(const Options& options, const char* workingDirectory, Request& request) {
  request.program.reset(openProgram(options.program, options.root, workingDirectory));
  int error = -request.program.error();
  PathText real;
  if (error == 0) error = pathOf(request.program.get(), real);
  if (error == -ENOENT || error == -ENOTDIR) {
    fail(Exit::notFound, "no such program:", options.program, errorText(-error), nullptr);
  }
  if (error < 0) fail(Exit::notExecutable, failure(Step::openProgram, options.program, error));
  request.subject = copied(real.get(), real.length());
}

void resolveDirectories(const Options& options, Request& request) {
  if (options.root != nullptr) request.root = realDirectory(options.root);
  for (const char* const* library = options.libraries; library < options.libraries + options.libraryCount; ++library)
    request.libraries[request.libraryCount++] = realDirectory(*library);
}

const char* absolute(const char* variable, const char* path) {
  if (*path == '/') return path;
  fail(Exit::failed, joined(variable, " is not an absolute path:"), path, nullptr, "set it to an absolute path");
}

void addRootToKey(const Request& request, Text<256>& key) {
  struct statx status;
  const int error = sys::statAt(AT_FDCWD, request.root, 0, STATX_BASIC_STATS, status);
  if (error < 0) fail(Exit::failed, failure(Step::openDirectory, request.root, error));
  key.add('@').addHex(deviceNumber(status)).add(':').addHex(status.stx_ino);
}

void addLoaderEnvironmentToKey(const char* const* environment, Text<256>& key) {
  Fnv hash;
  bool any = false;
  for (const char* name : loaderVariables) {
    const char* value = findFilledVariable(environment, name);
    if (value == nullptr) continue;
    any = true;
    hash.add(name);
    hash.add(value);
  }
  if (any) key.add('~').addHex(hash.get(), 16);
}

/** As planKey() in lib/plan/file.ts. */
void makeKey(const Options& options, const char* const* environment, Request& request) {
  if (options.program == nullptr) {
    request.key.add(request.subject);
  } else {
    Fnv hash;
    hash.add(request.subject);
    for (size_t i = 0; i < request.libraryCount; ++i) hash.add(request.libraries[i]);
    request.key.add('=').addHex(hash.get(), 16);
  }
  if (options.root != nullptr) addRootToKey(request, request.key);
  addLoaderEnvironmentToKey(environment, request.key);
}

}  // namespace

/** As storeHome() in lib/store/store.ts: whoever packs and whoever runs must come to the same place. */
const char* findStore(const char* const* environment, uint32_t uid) {
  if (const char* home = findFilledVariable(environment, "APPC_HOME"); home != nullptr)
    return absolute("APPC_HOME", home);
  if (uid == 0) return "/var/lib/appc";
  // The XDG base directory specification has relative values ignored.
  const char* data = findVariable(environment, "XDG_DATA_HOME");
  if (data != nullptr && *data == '/') return joined(data, "/appc");
  const char* user = findFilledVariable(environment, "HOME");
  if (user == nullptr) {
    fail(Exit::failed, "no telling where the containers are", nullptr,
         "neither APPC_HOME nor XDG_DATA_HOME nor HOME is set", "set APPC_HOME to an absolute path");
  }
  return joined(absolute("HOME", user), "/.local/share/appc");
}

void resolveRequest(const Options& options, const char* const* environment, const char* workingDirectory,
                    Request& request) {
  // Before the program, which is looked for in the root: without one it is not the program that is missing.
  resolveDirectories(options, request);
  if (options.program == nullptr) {
    request.subject = options.container.get();
  } else {
    resolveProgram(options, workingDirectory, request);
  }
  makeKey(options, environment, request);
  request.planPath = joined(joined(request.store, "/plans/"), request.key.get());
  if (strlen(request.planPath) >= PATH_MAX) fail(Exit::failed, failure(Step::readPlan, request.store, ENAMETOOLONG));
}

bool answers(const Plan& plan, const Request& request) {
  const auto strings = plan.request();
  if (strings.count != 1 + request.libraryCount || !equal(plan.text(strings[0]), request.subject)) return false;
  for (uint32_t i = 1; i < strings.count; ++i) {
    if (!equal(plan.text(strings[i]), request.libraries[i - 1])) return false;
  }
  const char* root = plan.text(plan.header().root);
  return equal(root == nullptr ? "" : root, request.root);
}

}  // namespace appc
