// Mounts of a confinement's own, made and attached by descriptor.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "result.h"
#include "sys.h"

namespace appc {

/** The source of file systems that a confinement makes; it tells them from the overlays of a plan. */
inline constexpr const char* privateSource = "appc-private";

/** File systems that a confinement made, by their device numbers. */
class OwnFileSystems {
 public:
  /** That of an open file. */
  Result add(const char* path, int fd);
  /** Whether an open file lies in one of them; returns a negative errno when there is no telling. */
  int hold(int fd, bool& held) const;

 private:
  uint64_t devices_[16];
  size_t count_ = 0;
};

/** An empty tmpfs whose top has this mode ("1777"), not attached anywhere yet; without setuid programs and devices. */
Result createTmpfs(const char* target, const char* mode, sys::Descriptor& mounted);

/** An instance of devpts of its own, as containers have it. */
Result createTerminals(const char* target, sys::Descriptor& mounted);

/** The processes of the caller's PID namespace over the directory /proc of `root`. */
Result mountProcesses(int root, bool readOnlySettings);

/**
 * Opens what lies at `path` below `root`, and makes what of it is missing: directories, and at its end an empty file
 * where `isDirectory` is false. Nothing is made in a file system that is not one of `own`: ENOENT. By descriptor from
 * name to name; a link on the way is followed nowhere.
 */
Result makePath(int root, const char* path, bool isDirectory, const OwnFileSystems& own, sys::Descriptor& opened);

/** Attaches a detached mount at the end of `path`, which links of the system may lead to (/var/run). */
Result attachAt(int root, const char* path, const sys::Descriptor& mounted);

/** Nothing below the mount can be written to any more; what the host mounts there later does not come in. */
Result makeReadOnly(const char* path, int mount);

}  // namespace appc
