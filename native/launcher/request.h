// What is asked for, in absolute terms: real paths, the store, and the name of the plan's file.
#pragma once

#include <stdint.h>

#include "options.h"
#include "plan.h"
#include "sys.h"
#include "text.h"

namespace appc {

struct Request {
  /** The container's name, or the program's real path on the machine. */
  const char* subject = nullptr;
  /** The program itself; none for a container. */
  sys::Descriptor program;
  /** Empty when there is none. */
  const char* root = "";
  const char* libraries[maxLibraryDirectories];
  size_t libraryCount = 0;
  const char* store = nullptr;
  Text<256> key;
  const char* planPath = nullptr;
};

/** Exits when there is no telling where the store is. */
const char* findStore(const char* const* environment, uint32_t uid);

/** All but the store, which must be known. Exits when a path does not exist. */
void resolveRequest(const Options& options, const char* const* environment, const char* workingDirectory,
                    Request& request);

/** Whether the plan answers this very request; keys are hashes. */
bool answers(const Plan& plan, const Request& request);

}  // namespace appc
