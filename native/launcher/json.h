#pragma once

#include <stddef.h>
#include <stdint.h>

#include "text.h"

namespace appc {

/** One object of JSON, made of its members in turn; they are plain or lists of strings. */
class JsonLine {
 public:
  /** Null for null. Bytes that are not UTF-8, as names may have them, become U+FFFD. */
  JsonLine& add(const char* key, const char* value);
  JsonLine& add(const char* key, uint64_t value);
  JsonLine& add(const char* key, bool value);
  JsonLine& addNull(const char* key);
  /** A list of strings. */
  JsonLine& beginList(const char* key);
  JsonLine& addItem(const char* value);
  JsonLine& endList();
  /** Ends it, with a newline. */
  const Text<1 << 16>& end();

 private:
  void addKey(const char* key);
  void addString(const char* value);

  Text<1 << 16> text_;
};

}  // namespace appc
