// What was asked for in words, as a Confinement.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "confinement.h"
#include "environment.h"
#include "plan.h"

namespace appc {

/** The options about confinement as they were given; all of them were found to make sense. */
struct ConfinementWords {
  bool sandbox = false;
  /** Parts by their own options, and those taken away by --no-seccomp and --no-landlock. */
  uint32_t parts = 0;
  uint32_t without = 0;
  /** Each a list with commas. */
  const char* allow[32];
  size_t allowCount = 0;
  const char* deny[32];
  size_t denyCount = 0;
  Shown shown[maxShown];
  size_t shownCount = 0;
  ProcessLimit limits[maxLimits];
  size_t limitCount = 0;
  GroupLimits group;
  int kept[maxKept];
  size_t keptCount = 0;

  bool any() const { return sandbox || parts != 0 || allowCount + shownCount + limitCount != 0 || group.any(); }
};

/** These exit on what makes no sense. */
void addAllowed(ConfinementWords& words, const char* list);
void addDenied(ConfinementWords& words, const char* list);
void addShown(ConfinementWords& words, const char* path, bool writable);
void addKept(ConfinementWords& words, int fd);

/**
 * All of it together, with what the container needs where --sandbox is given, and the sockets of the session that are
 * let through. Exits when such a thing cannot be found.
 */
void composeConfinement(const ConfinementWords& words, const Plan& plan, const char* const* environment,
                        Confinement& confinement);

/** Takes variables away that lead to what is not to be seen, and sets those of what is the program's own. */
void changeEnvironment(const Confinement& confinement, uint32_t uid, Environment& environment);

/** How many variables that adds at most. */
inline constexpr size_t confinementVariables = 4;

}  // namespace appc
