#pragma once

#include <stddef.h>

#include "plan.h"

namespace appc {

/** The value, or null when unset. */
const char* findVariable(const char* const* environment, const char* name);

/** The same, but null too when empty: the loader takes an empty variable for none. */
const char* findFilledVariable(const char* const* environment, const char* name);

/** What the kernel tells a program besides (getauxval(3)), behind the environment as it gave it; 0 when it does not. */
unsigned long auxiliaryValue(const char* const* environment, unsigned long type);

/** An environment that can be changed; the strings stay where they are. Dies with the process, at exec. */
class Environment {
 public:
  /** A copy with room for `additions` more. */
  Environment(const char* const* environment, size_t additions);
  /** `NAME=VALUE`. */
  void set(const char* variable);
  void unset(const char* name);
  /** Puts `prefix` before the names that are `chosen`; the order stays. */
  void rename(bool (*chosen)(const char* variable), const char* prefix);
  const char* const* get() const { return variables_; }

 private:
  size_t indexOf(const char* name, size_t length) const;

  const char** variables_;
  size_t count_ = 0;
};

}  // namespace appc
