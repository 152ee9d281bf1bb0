// What stays as it is until the next boot need not be found out at each launch: the launcher leaves word of it in the
// store.
#pragma once

#include <stdint.h>

namespace appc {

struct KnownHost {
  /** No overlay of appc's is mounted in this mount namespace. */
  bool isBare = false;
  /** As cpuLevel() gives it; only where it is bare. */
  uint32_t cpuLevel = 0;
};

/** What word in the store says, if it is of this boot and mount namespace, and in a directory of this user's own. */
KnownHost recallHost(const char* store, uint32_t uid);

/** Leaves word of a host that was seen bare, and gives it; not bare where none can be left. */
KnownHost leaveHostWord(const char* store, uint32_t uid, uint32_t cpuLevel);

}  // namespace appc
