#include "cold.h"

#include <fcntl.h>

#include "environment.h"
#include "explain.h"
#include "memory.h"
#include "replanned.h"
#include "report.h"
#include "signals.h"
#include "sys.h"

namespace appc {
namespace {

/** More often than this the host is not planned for in one launch: as long as a package manager goes on it may well
 * change three times. */
constexpr uint64_t maxRounds = 4;

/** Before the names of the caller's variables that are not for Node; lib/launch/addon.ts takes it away again. */
constexpr const char* callerPrefix = "APPC_CALLER_";

constexpr const char* script = "dist/bin/appc/replan.js";

/** The arguments for Node; values are tied to their options, so that none is taken for an option. */
class Arguments {
 public:
  explicit Arguments(size_t maxCount) : list_(allocatePointers(maxCount + 1)) {}

  void add(const char* argument) { list_[count_++] = argument; }
  void add(const char* option, const char* value) { add(joined(option, value)); }
  const char* const* get() const { return list_; }

 private:
  const char** list_;
  size_t count_ = 0;
};

/** This executable is at PACKAGE/build/Release/appc-run. */
void findInstallation(PathText& executable, PathText& replan) {
  char buffer[4096];
  const long length = sys::readlink(AT_FDCWD, "/proc/self/exe", buffer, sizeof buffer - 1);
  if (length < 0) fail(Exit::failed, failure(Step::openProgram, "/proc/self/exe", static_cast<int>(length)));
  buffer[length] = '\0';
  executable.add(buffer);
  size_t end = executable.length();
  for (int component = 0; component < 3 && end > 0; ++component) {
    do --end;
    while (end > 0 && buffer[end] != '/');
  }
  buffer[end] = '\0';
  replan.add(buffer).add('/').add(script);
  const sys::Descriptor found(sys::open(AT_FDCWD, replan.get(), O_PATH));
  if (found.error() == 0) return;
  fail(Exit::failed, "cannot plan, as this is missing:", replan.get(), errorText(found.error()),
       "appc-run belongs into build/Release of an installed appc; install it again, or link to it there");
}

/** Tries each directory of PATH; comes back when none has a node that can be executed. */
void executeNode(const char* const* arguments, const char* const* environment) {
  const char* at = findVariable(environment, "PATH");
  while (at != nullptr && *at != '\0') {
    PathText candidate;
    while (*at != '\0' && *at != ':') candidate.add(*at++);
    if (*at == ':') ++at;
    candidate.add("/node");
    // A relative directory would run whatever the working directory holds.
    if (candidate.get()[0] == '/' && candidate.fits()) sys::execve(candidate.get(), arguments, environment);
  }
}

/** What steers Node or its own loader. Names that begin with the prefix too: what they become must be told apart. */
bool isHiddenFromNode(const char* variable) {
  return startsWith(variable, "LD_") || startsWith(variable, "GLIBC_TUNABLES=") || startsWith(variable, "NODE_") ||
         startsWith(variable, callerPrefix);
}

/**
 * Node opens /dev/null for standard streams that are closed, and closes what it inherits when it executes something
 * else (uv_disable_stdio_inheritance). So it is told what to keep: descriptors that the caller gave to the program.
 * Ours are close-on-exec, theirs are not.
 */
void addInheritedDescriptors(Text<4096>& list) {
  bool first = true;
  for (int fd = 0; fd < 1024; ++fd) {
    const long flags = sys::call(SYS_fcntl, fd, F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC) != 0) continue;
    if (!first) list.add(',');
    list.addDecimal(static_cast<uint64_t>(fd));
    first = false;
  }
}

}  // namespace

void goCold(const Options& options, const Request& request, const char* const* argv, const char* const* environment,
            const Result& because) {
  const uint64_t rounds = findReplanned(environment).rounds;
  if (rounds >= maxRounds) {
    Text<4300> cause;
    cause.add(stepText(because.step));
    if (because.path != nullptr) cause.add(' ').addEscaped(because.path);
    Text<48> times;
    times.addDecimal(rounds).add(" times, and still");
    fail(Exit::unstable, "the host keeps changing: planned", times.get(), cause.get(),
         "something rewrites these files again and again; stop it, or try once more when it has finished");
  }

  PathText executable;
  PathText replan;
  findInstallation(executable, replan);
  size_t argc = 0;
  while (argv[argc] != nullptr) ++argc;
  Arguments arguments(11 + request.libraryCount + argc);
  arguments.add("node");
  arguments.add(replan.get());
  arguments.add("--key=", request.key.get());
  arguments.add("--store=", request.store);
  arguments.add("--kind=", options.program == nullptr ? "container" : "program");
  arguments.add("--subject=", request.subject);
  if (options.entry != nullptr) arguments.add("--entry=", options.entry);
  if (options.root != nullptr) arguments.add("--root=", request.root);
  for (size_t i = 0; i < request.libraryCount; ++i) arguments.add("--lib=", request.libraries[i]);
  if (options.replace && rounds == 0) arguments.add("--replace");
  Text<16> errors;
  if (const int fd = passReporting(); fd >= 0) {
    errors.addDecimal(static_cast<uint64_t>(fd));
    arguments.add("--error-fd=", errors.get());
  }
  arguments.add("--exe=", executable.get());
  arguments.add("--");
  for (size_t i = 0; i < argc; ++i) arguments.add(argv[i]);

  Text<4096> variable;
  variable.add(replannedVariable).add('=').addDecimal(rounds + 1).add(':').addHex(ignoredSignals()).add(':');
  addInheritedDescriptors(variable);
  Environment changed(environment, 1);
  changed.rename(isHiddenFromNode, callerPrefix);
  changed.set(variable.get());
  executeNode(arguments.get(), changed.get());
  fail(Exit::failed, "cannot plan:", "no node on PATH", nullptr,
       "install Node.js 20.17 or later; programs whose plan holds run without it");
}

}  // namespace appc
