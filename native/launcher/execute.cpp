#include "execute.h"

#include <errno.h>
#include <string.h>

#include "environment.h"
#include "explain.h"
#include "report.h"
#include "sys.h"
#include "text.h"

namespace appc {
namespace {

bool isMissing(int error) { return error == -ENOENT || error == -ENOTDIR; }

bool exists(const char* path) {
  struct statx status;
  return sys::statAt(AT_FDCWD, path, 0, STATX_TYPE, status) == 0;
}

[[noreturn]] void failToExecute(const char* path, int error) {
  const bool missing = isMissing(error);
  if (missing && exists(path)) {
    fail(Exit::notExecutable, "cannot execute", path, "the interpreter that it names does not exist",
         "look at its first line, or for a binary at the interpreter that readelf -l shows");
  }
  fail(missing ? Exit::notFound : Exit::notExecutable, failure(Step::execute, path, error));
}

}  // namespace

void executeAt(const char* path, const char* const* argv, const char* const* environment) {
  failToExecute(path, sys::execve(path, argv, environment));
}

void executeCommand(const char* const* argv, const char* const* environment) {
  const char* name = argv[0];
  const char* at = findVariable(environment, "PATH");
  if (*name == '\0' || lastComponent(name) != name) executeAt(name, argv, environment);
  // execvp(3): what may not be executed is passed over, but told when nothing else is found. A directory that may not
  // be looked into has nothing.
  PathText refused;
  int refusal = -ENOENT;
  while (at != nullptr && *at != '\0') {
    PathText candidate;
    while (*at != '\0' && *at != ':') candidate.add(*at++);
    if (*at == ':') ++at;
    // A relative directory, or an empty one, would run whatever the working directory holds.
    if (candidate.get()[0] != '/' || !candidate.add('/').add(name).fits()) continue;
    const int error = sys::execve(candidate.get(), argv, environment);
    if (!exists(candidate.get())) continue;
    refused.clear();
    refused.add(candidate.get());
    refusal = error;
    if (error != -EACCES) break;
  }
  if (refused.length() > 0) failToExecute(refused.get(), refusal);
  fail(Exit::notFound, "no such program:", name, "no directory of PATH has it", nullptr);
}

}  // namespace appc
