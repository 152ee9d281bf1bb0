#pragma once

#include <stddef.h>

#include "result.h"

namespace appc {

/** The version of its rules that the kernel has; a negative errno where it has none. */
long landlockVersion();

/**
 * Restricts this process to write below the `writable` directories (descriptors) alone, and, where the kernel has it
 * (6.12), to connect to no abstract socket and signal no process from outside; a second lock behind the mounts. With
 * `anywhere`, files stay as they are; with `anybody`, signals are not restricted: for a process that joins others,
 * which Landlock takes for outsiders, in a PID namespace. Takes no_new_privs. From here on no mount is allowed, to root
 * either.
 */
Result restrictByLandlock(const int* writable, size_t count, bool anywhere, bool anybody);

}  // namespace appc
