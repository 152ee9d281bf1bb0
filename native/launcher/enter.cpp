#include "enter.h"

#include <new>

#include "confined.h"
#include "join.h"
#include "program.h"
#include "report.h"
#include "resource-limits.h"
#include "supervise.h"

namespace appc {
namespace {

/** As many as there are kinds of them. */
constexpr size_t maxNamespaces = 8;

struct NamespaceList {
  int descriptors[maxNamespaces];
  size_t count = 0;
};

NamespaceList parseNamespaces(const char* text) {
  NamespaceList list;
  for (const char* at = text;; ++at) {
    uint64_t fd;
    const bool isWhole = readNumber(at, 10, fd) && fd <= INT32_MAX && (*at == ',' || *at == '\0');
    if (!isWhole || list.count == maxNamespaces)
      fail(Exit::usage, "not a list of descriptors:", text, nullptr, nullptr);
    list.descriptors[list.count++] = static_cast<int>(fd);
    if (*at == '\0') return list;
  }
}

/**
 * What holds for the program of the container holds for the command: what a process does to itself, as the rest comes
 * with the namespaces.
 */
void adoptConfinement(Launch& launch) {
  const char* at = launch.options.confinedAs;
  uint64_t process;
  uint64_t parts;
  const bool isWhole = readNumber(at, 10, process) && process <= INT32_MAX && *at++ == ':' &&
                       readNumber(at, 16, parts) && parts <= part::all && *at == '\0';
  if (!isWhole) fail(Exit::usage, "not PID:PARTS:", launch.options.confinedAs, nullptr, nullptr);
  alignas(Confined) static char storage[sizeof(Confined)];
  launch.confined = new (storage) Confined;
  Confinement& confinement = launch.confined->confinement;
  confinement.parts = static_cast<uint32_t>(parts) & (part::process | part::session | part::readOnly | part::dev);
  const ConfinementWords& words = launch.options.confinement;
  for (size_t i = 0; i < words.shownCount; ++i) confinement.shown[confinement.shownCount++] = words.shown[i];
  if (const Result copied = copyProcessLimits(static_cast<int>(process), confinement); !copied.ok())
    fail(Exit::failed, copied);
}

void adoptFiles(Launch& launch) {
  const sys::Descriptor root(sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
  if (root.error() != 0) fail(Exit::failed, failure(Step::openDirectory, "/", root.error()));
  Confined& confined = *launch.confined;
  if (const Result adopted = confined.files.adopt(root.get(), confined.confinement); !adopted.ok()) {
    fail(Exit::failed, adopted);
  }
}

}  // namespace

void enter(Launch& launch) {
  const NamespaceList namespaces = parseNamespaces(launch.options.enter);
  if (launch.options.confinedAs != nullptr) adoptConfinement(launch);
  bool forksAway = false;
  const Result joined = joinNamespaces(namespaces.descriptors, namespaces.count, forksAway);
  if (!joined.ok()) fail(Exit::failed, joined);
  // They were inherited, and would reach the command.
  for (size_t i = 0; i < namespaces.count; ++i) sys::close(namespaces.descriptors[i]);
  // Where the container has no such directory, the command is in its root directory, as joining has left it.
  if (*launch.workingDirectory == '/') sys::chdir(launch.workingDirectory);

  const Program command = {nullptr, launch.options.arguments - 1, launch.environment};
  if (launch.confined != nullptr) {
    launch.confined->joinsProcesses = forksAway;
    adoptFiles(launch);
  }
  if (forksAway || needsSupervisor(launch)) supervise(launch, command);
  if (launch.confined != nullptr) {
    if (const Result confined = confineProcess(*launch.confined); !confined.ok()) fail(Exit::failed, confined);
  }
  execute(command);
}

}  // namespace appc
