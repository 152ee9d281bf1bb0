// What a program is kept from: a value, made from the command line and the plan, that the rest of a launch carries out.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

namespace appc {

/** Each has an option of its own; --sandbox means all. A set of them is their sum. */
namespace part {
/** Nothing of the host can be written to. */
inline constexpr uint32_t readOnly = 1 << 0;
/** Empty directories of its own in the place of /tmp and /var/tmp, of homes, of /run; a /dev with the harmless devices.
 */
inline constexpr uint32_t tmp = 1 << 1;
inline constexpr uint32_t home = 1 << 2;
inline constexpr uint32_t run = 1 << 3;
inline constexpr uint32_t dev = 1 << 4;
/** Namespaces of its own. */
inline constexpr uint32_t pid = 1 << 5;
inline constexpr uint32_t ipc = 1 << 6;
inline constexpr uint32_t uts = 1 << 7;
inline constexpr uint32_t net = 1 << 8;
/** A session and a terminal of its own. */
inline constexpr uint32_t session = 1 << 9;
inline constexpr uint32_t seccomp = 1 << 10;
inline constexpr uint32_t landlock = 1 << 11;
/** No capability, now or later. */
inline constexpr uint32_t capabilities = 1 << 12;
inline constexpr uint32_t all = (1 << 13) - 1;
/** Those that are mounts. */
inline constexpr uint32_t files = readOnly | tmp | home | run | dev;
/** Those that a process does to itself just before it becomes the program. */
inline constexpr uint32_t process = seccomp | landlock | capabilities;
}  // namespace part

/** Sockets and devices of the user's session that are let through. */
namespace feature {
inline constexpr uint32_t wayland = 1 << 0;
inline constexpr uint32_t x11 = 1 << 1;
inline constexpr uint32_t pulse = 1 << 2;
inline constexpr uint32_t gpu = 1 << 3;
}  // namespace feature

inline constexpr size_t maxShown = 64;
inline constexpr size_t maxBusNames = 32;
inline constexpr size_t maxLimits = 24;
inline constexpr size_t maxKept = 64;

/** A path of the host that is to be seen in spite of what is private. */
struct Shown {
  /** As it was given; may begin with "~/". */
  const char* path;
  bool writable;
  /** One of the system's own: links that lead to it are followed, and where it does not exist there is none. */
  bool isSystems = false;
};

/** A limit of one process and its children. */
struct ProcessLimit {
  const char* name;
  int resource;
  uint64_t value;
};

/** What all processes of the program may use together; 0 for no limit. */
struct GroupLimits {
  uint64_t memory = 0;
  uint64_t processes = 0;
  /** Thousandths of a processor. */
  uint64_t processors = 0;

  bool any() const { return memory != 0 || processes != 0 || processors != 0; }
};

struct Confinement {
  uint32_t parts = 0;
  uint32_t features = 0;
  Shown shown[maxShown];
  size_t shownCount = 0;
  /** Where these sockets lie, as the program is told; null where they are not let through. */
  const char* wayland = nullptr;
  const char* pulse = nullptr;
  const char* busNames[maxBusNames];
  size_t busNameCount = 0;
  ProcessLimit limits[maxLimits];
  size_t limitCount = 0;
  GroupLimits group;
  /** Descriptors of the caller that the program keeps besides its standard streams. */
  int kept[maxKept];
  size_t keptCount = 0;

  bool has(uint32_t any) const { return (parts & any) != 0; }
};

}  // namespace appc
