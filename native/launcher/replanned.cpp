#include "replanned.h"

#include "environment.h"

namespace appc {
namespace {

/** The value of a digit, or more than any base for another character. */
unsigned digitOf(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  return c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a' + 10) : ~0U;
}

/** Moves `text` past the digits. False when there are none, or the number does not fit. */
bool readNumber(const char*& text, unsigned base, uint64_t& value) {
  const char* begin = text;
  for (; digitOf(*text) < base; ++text) {
    if (value > (UINT64_MAX - digitOf(*text)) / base) return false;
    value = value * base + digitOf(*text);
  }
  return text != begin;
}

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
