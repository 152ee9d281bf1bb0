#include "json.h"

namespace appc {
namespace {

bool isWithin(unsigned char byte, unsigned char first, unsigned char last) { return byte >= first && byte <= last; }

/** How many bytes the character at `text` has; 0 where there is none of UTF-8 (table 3-7 of the Unicode standard). */
size_t characterLength(const char* text) {
  const auto* at = reinterpret_cast<const unsigned char*>(text);
  if (at[0] < 0x80) return 1;
  unsigned char first = 0x80;
  unsigned char last = 0xbf;
  if (at[0] == 0xe0) first = 0xa0;
  if (at[0] == 0xed) last = 0x9f;
  if (at[0] == 0xf0) first = 0x90;
  if (at[0] == 0xf4) last = 0x8f;
  size_t length = 0;
  if (isWithin(at[0], 0xc2, 0xdf)) length = 2;
  if (isWithin(at[0], 0xe0, 0xef)) length = 3;
  if (isWithin(at[0], 0xf0, 0xf4)) length = 4;
  if (length == 0 || !isWithin(at[1], first, last)) return 0;
  for (size_t i = 2; i < length; ++i) {
    if (!isWithin(at[i], 0x80, 0xbf)) return 0;
  }
  return length;
}

}  // namespace

JsonLine& JsonLine::add(const char* key, const char* value) {
  if (value == nullptr) return addNull(key);
  addKey(key);
  addString(value);
  return *this;
}

JsonLine& JsonLine::add(const char* key, uint64_t value) {
  addKey(key);
  text_.addDecimal(value);
  return *this;
}

JsonLine& JsonLine::addNull(const char* key) {
  addKey(key);
  text_.add("null");
  return *this;
}

JsonLine& JsonLine::add(const char* key, bool value) {
  addKey(key);
  text_.add(value ? "true" : "false");
  return *this;
}

JsonLine& JsonLine::beginList(const char* key) {
  addKey(key);
  text_.add('[');
  return *this;
}

JsonLine& JsonLine::addItem(const char* value) {
  if (text_.get()[text_.length() - 1] != '[') text_.add(',');
  addString(value);
  return *this;
}

JsonLine& JsonLine::endList() {
  text_.add(']');
  return *this;
}

const Text<1 << 16>& JsonLine::end() { return text_.add("}\n"); }

void JsonLine::addKey(const char* key) {
  text_.add(text_.length() == 0 ? '{' : ',');
  addString(key);
  text_.add(':');
}

void JsonLine::addString(const char* value) {
  text_.add('"');
  while (*value != '\0') {
    const size_t length = characterLength(value);
    const auto byte = static_cast<unsigned char>(*value);
    if (length == 0) {
      text_.add("\\ufffd");
    } else if (byte < 0x20 || byte == '"' || byte == '\\') {
      text_.add("\\u").addHex(byte, 4);
    } else {
      for (size_t i = 0; i < length; ++i) text_.add(value[i]);
    }
    value += length == 0 ? 1 : length;
  }
  text_.add('"');
}

}  // namespace appc
