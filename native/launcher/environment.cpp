#include "environment.h"

#include <linux/auxvec.h>
#include <string.h>

#include "memory.h"

namespace appc {
namespace {

bool hasName(const char* variable, const char* name, size_t length) {
  for (size_t i = 0; i < length; ++i) {
    if (variable[i] != name[i]) return false;
  }
  return variable[length] == '=';
}

}  // namespace

const char* findVariable(const char* const* environment, const char* name) {
  const size_t length = strlen(name);
  for (; *environment != nullptr; ++environment) {
    if (hasName(*environment, name, length)) return *environment + length + 1;
  }
  return nullptr;
}

const char* findFilledVariable(const char* const* environment, const char* name) {
  const char* value = findVariable(environment, name);
  return value == nullptr || *value == '\0' ? nullptr : value;
}

unsigned long auxiliaryValue(const char* const* environment, unsigned long type) {
  while (*environment != nullptr) ++environment;
  const auto* pair = reinterpret_cast<const unsigned long*>(environment + 1);
  while (pair[0] != AT_NULL && pair[0] != type) pair += 2;
  return pair[0] == AT_NULL ? 0 : pair[1];
}

Environment::Environment(const char* const* environment, size_t additions) {
  while (environment[count_] != nullptr) ++count_;
  variables_ = allocatePointers(count_ + additions + 1);
  memcpy(variables_, environment, count_ * sizeof *variables_);
}

void Environment::set(const char* variable) {
  size_t length = 0;
  while (variable[length] != '=') ++length;
  const size_t index = indexOf(variable, length);
  variables_[index] = variable;
  if (index == count_) ++count_;
}

void Environment::unset(const char* name) {
  const size_t length = strlen(name);
  for (size_t index = indexOf(name, length); index < count_; index = indexOf(name, length)) {
    // The terminating null moves along.
    memmove(variables_ + index, variables_ + index + 1, (count_ - index) * sizeof *variables_);
    --count_;
  }
}

void Environment::rename(bool (*chosen)(const char* variable), const char* prefix) {
  for (size_t i = 0; i < count_; ++i) {
    if (chosen(variables_[i])) variables_[i] = joined(prefix, variables_[i]);
  }
}

size_t Environment::indexOf(const char* name, size_t length) const {
  size_t index = 0;
  while (index < count_ && !hasName(variables_[index], name, length)) ++index;
  return index;
}

}  // namespace appc
