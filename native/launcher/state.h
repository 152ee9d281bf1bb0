// Everything of a launch; one for the process. Never destroyed: it ends in exec, which closes what is open.
#pragma once

#include "bus.h"
#include "confined-files.h"
#include "confinement.h"
#include "host-word.h"
#include "mountinfo.h"
#include "mounts.h"
#include "namespaces.h"
#include "objects.h"
#include "options.h"
#include "plan.h"
#include "replanned.h"
#include "request.h"
#include "resource-limits.h"
#include "root.h"
#include "sys.h"

namespace appc {

/** What only a confined launch has: the pages of another are never touched. */
struct Confined {
  Confinement confinement;
  ConfinedFiles files;
  BusProxy bus;
  ControlGroup group;
  Owner owner;
  /** It comes into a PID namespace in which others are that it has to do with (`appc exec`). */
  bool joinsProcesses = false;
};

struct Launch {
  const char* const* environment;
  uint32_t uid;
  uint32_t gid;
  /** Empty when it cannot be told. */
  const char* workingDirectory = "";
  Options options;
  Replanned replanned;
  Request request;
  KnownHost host;
  Namespaces namespaces;
  Plan plan;
  /** The private file that was looked at last. */
  ObjectPath object;
  RootTree root;
  Overlays overlays;
  /** Null without a confinement. */
  Confined* confined = nullptr;
  /** Null as long as nobody has asked for it. */
  MountTable* mounts = nullptr;
};

/** Whether the plan covers what lies at this path inside. */
inline bool isCovered(const Plan& plan, const char* path) {
  for (const file::Overlay& overlay : plan.overlays()) {
    if (isWithin(path, plan.text(overlay.target))) return true;
  }
  return false;
}

}  // namespace appc
