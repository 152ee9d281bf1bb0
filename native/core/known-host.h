// What Node has found out of this machine need not be found out at each launch again: it leaves word of it in the
// store, for as long as the machine runs (lib/launch/host-word.ts).
#pragma once

#include <stdint.h>

#include "result.h"
#include "text.h"

namespace appc {

struct KnownHost {
  /** No overlay of appc's is mounted in this mount namespace. */
  bool isBare = false;
  /** As cpuLevel() gives it; only where it is bare. */
  uint32_t cpuLevel = 0;
};

/**
 * What tells this boot and the mount namespace of this process from all others, and ends with '-'. False where the
 * kernel does not say: before Linux 6.8, or without /proc.
 */
bool describeHost(Text<64>& description);

/** What word in the store says, if it is of this boot and mount namespace. */
KnownHost recallHost(const char* store);

/**
 * Whether anything is mounted in the mount whose root directory this is; `target` is what the failure names. It must be
 * known that describeHost() works.
 */
Result checkNothingMounted(int directory, const char* target);

}  // namespace appc
