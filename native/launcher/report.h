// How a launch that fails is told: to people on standard error, or to a program by the descriptor that it gave.
#pragma once

#include "result.h"

namespace appc {

/** The exit status, as env(1) and other programs that start programs have it, and the code (lib/errors.ts). */
struct Exit {
  int status;
  const char* code;

  static const Exit failed;
  static const Exit usage;
  static const Exit invalidName;
  static const Exit unstable;
  static const Exit notExecutable;
  static const Exit notFound;
  static const Exit unknownEntry;
};

inline constexpr Exit Exit::failed{125, "LAUNCH_FAILED"};
inline constexpr Exit Exit::usage{125, "USAGE"};
inline constexpr Exit Exit::invalidName{125, "NAME_INVALID"};
inline constexpr Exit Exit::unstable{125, "PLAN_UNSTABLE"};
inline constexpr Exit Exit::notExecutable{126, "LAUNCH_FAILED"};
inline constexpr Exit Exit::notFound{127, "FILE_MISSING"};
inline constexpr Exit Exit::unknownEntry{127, "ENTRY_UNKNOWN"};

/** In a process whose failure another has to learn: a byte to this descriptor, before fail() exits. */
void tellFailureTo(int fd);

/** Writes `appc-run: MESSAGE SUBJECT: CAUSE` and a hint, where there are such, and exits. */
[[noreturn]] void fail(Exit exit, const char* message, const char* subject, const char* cause, const char* hint);

/** The same for a failed step. */
[[noreturn]] void fail(Exit exit, const Result& result);

/**
 * From now on failures are told as a line of JSON by this descriptor of the caller's, and not on standard error
 * (docs/formats.md, "Launches that fail"). The program does not get it. A negative errno when it is not open.
 */
int reportTo(int descriptor);

/** That descriptor, left open for the Node that plans; -1 without one. */
int passReporting();

/** Tells there that all is set up, just before the program is executed. That it cannot be executed is told after it. */
void reportReady();

/** In a process that stays beside the program, which was executed: the descriptor's end tells so. */
void endReporting();

}  // namespace appc
