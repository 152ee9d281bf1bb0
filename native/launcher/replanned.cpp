#include "replanned.h"

#include "environment.h"
#include "text.h"

namespace appc {
namespace {

bool readWhole(const char* text, Replanned& out) {
  if (!readNumber(text, 10, out.rounds) || *text++ != ':') return false;
  if (!readNumber(text, 16, out.ignoredSignals) || *text++ != ':') return false;
  // The descriptors are for Node alone.
  while (*text == ',' || digitOf(*text) < 10) ++text;
  if (*text == '\0') return true;
  uint64_t lock = 0;
  if (*text++ != ':' || !readNumber(text, 10, lock) || *text != '\0') return false;
  // Node never opens anything in the place of a standard stream.
  if (lock <= 2 || lock > INT32_MAX) return false;
  out.lock = static_cast<int>(lock);
  return true;
}

}  // namespace

Replanned findReplanned(const char* const* environment) {
  const char* value = findVariable(environment, replannedVariable);
  Replanned replanned;
  return value != nullptr && readWhole(value, replanned) ? replanned : Replanned();
}

}  // namespace appc
