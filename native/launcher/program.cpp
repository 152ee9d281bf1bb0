#include "program.h"

#include <errno.h>

#include "environment.h"
#include "execute.h"
#include "memory.h"
#include "report.h"
#include "signals.h"

namespace appc {
namespace {

/** Whether the program is what lies at `path`. Overlay shows a device number of its own. */
bool isProgram(const Launch& launch, const char* path) {
  struct statx program;
  struct statx found;
  return sys::statAt(launch.request.program.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, program) == 0 &&
         sys::statAt(AT_FDCWD, path, 0, STATX_BASIC_STATS, found) == 0 && found.stx_ino == program.stx_ino &&
         found.stx_size == program.stx_size && found.stx_mtime.tv_sec == program.stx_mtime.tv_sec &&
         found.stx_mtime.tv_nsec == program.stx_mtime.tv_nsec;
}

/**
 * The path to execute, which a script gets as an argument: as it was typed, as without appc. In a tree that may lead
 * elsewhere, though: the tree has no such working directory, or lacks or has files of its own where a link leads to, or
 * a directory of the machine's lies over its own. Then it is the program's real path, or there is none.
 */
const char* programPath(const Launch& launch) {
  const char* typed = launch.options.program;
  const char* root = launch.request.root;
  const char* real = launch.request.subject;
  // Of what is private the program alone is to be seen, not the links and directories on the way that was typed.
  if (*root == '\0') return launch.confined == nullptr || isProgram(launch, typed) ? typed : real;
  if (isProgram(launch, typed)) return typed;
  const bool inTree = isStrictlyBelow(real, root);
  if (inTree && root[1] != '\0') real += strlen(root);
  // An overlay may replace the program itself, where it is a library too (libc.so.6, ld.so).
  if (isProgram(launch, real) || (inTree && isCovered(launch.plan, real))) return real;
  Text<8192> cause;
  cause.add("the tree at ").addEscaped(root).add(" does not show ").addEscaped(real);
  fail(Exit::notFound, "no such program:", typed, cause.get(),
       "move it into the tree, or below /home or /tmp, which a tree that has these shares with this machine");
}

/**
 * What a shell would call it: by its bare name where every PATH has it; elsewhere by its path, without which some do
 * not find what lies beside them (PostgreSQL's initdb its postgres), or themselves again (sshd).
 */
const char* calledAs(const file::Program& entry, const Plan& plan) {
  const char* path = plan.text(entry.path);
  const char* name = lastComponent(path);
  static constexpr const char* onPath[] = {"/usr/bin/", "/bin/", "/usr/local/bin/"};
  for (const char* directory : onPath) {
    if (startsWith(path, directory) && path + strlen(directory) == name) return plan.text(entry.name);
  }
  return path;
}

/** The caller's variables, changed as the plan says and as the confinement has to. */
const char* const* makeEnvironment(const Launch& launch) {
  const Plan& plan = launch.plan;
  Environment environment(launch.environment, plan.environment().count + confinementVariables);
  environment.unset(replannedVariable);
  if (launch.confined != nullptr) changeEnvironment(launch.confined->confinement, launch.uid, environment);
  for (const file::String& variable : plan.environment()) {
    const char* text = plan.text(variable);
    if (memchr(text, '=', variable.length) != nullptr) {
      environment.set(text);
    } else {
      environment.unset(text);
    }
  }
  return environment.get();
}

const char* const* makeArguments(const Launch& launch, const char* name) {
  size_t count = 0;
  while (launch.options.arguments[count] != nullptr) ++count;
  const char** arguments = allocatePointers(count + 2);
  arguments[0] = name;
  memcpy(arguments + 1, launch.options.arguments, count * sizeof *arguments);
  return arguments;
}

const file::Program& chooseEntry(const Launch& launch) {
  const auto programs = launch.plan.programs();
  for (const file::Program& program : programs) {
    if (launch.options.entry == nullptr || equal(launch.options.entry, launch.plan.text(program.name))) return program;
  }
  if (launch.options.entry == nullptr) {
    fail(Exit::unknownEntry, "nothing to run in the container", launch.options.container.get(), nullptr, nullptr);
  }
  fail(Exit::unknownEntry, "no such program in the container:", launch.options.entry, nullptr,
       "appc list shows the programs of each container");
}

}  // namespace

void requireEntry(const Launch& launch) {
  if (launch.options.program == nullptr) static_cast<void>(chooseEntry(launch));
}

const char* pathOfEntry(const Launch& launch) { return launch.plan.text(chooseEntry(launch).path); }

Program findProgram(const Launch& launch) {
  if (launch.options.program != nullptr) {
    const char* path = programPath(launch);
    return {path, makeArguments(launch, launch.options.program), makeEnvironment(launch)};
  }
  const file::Program& entry = chooseEntry(launch);
  return {launch.plan.text(entry.path), makeArguments(launch, calledAs(entry, launch.plan)), makeEnvironment(launch)};
}

void execute(const Program& program) {
  // CVE-2024-21626: no descriptor of ours may reach the program; each was opened close-on-exec. Those of the caller are
  // the program's (`appc-run NAME <(command)`, sockets of a service manager, a jobserver), as without appc.
  reportReady();
  if (program.path == nullptr) executeCommand(program.arguments, program.environment);
  executeAt(program.path, program.arguments, program.environment);
}

}  // namespace appc
