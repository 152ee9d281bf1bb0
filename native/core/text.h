// Strings without a heap: a fixed buffer that remembers whether it overflowed.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace appc {

inline bool equal(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) ++a, ++b;
  return *a == *b;
}

inline bool startsWith(const char* text, const char* prefix) {
  while (*prefix != '\0' && *text == *prefix) ++text, ++prefix;
  return *prefix == '\0';
}

/** Whether `path` is `directory` or lies below it; both absolute, without a final slash but for "/". */
inline bool isWithin(const char* path, const char* directory) {
  if (directory[0] == '/' && directory[1] == '\0') return path[0] == '/';
  if (!startsWith(path, directory)) return false;
  const char next = path[strlen(directory)];
  return next == '\0' || next == '/';
}

inline bool isStrictlyBelow(const char* path, const char* directory) {
  return isWithin(path, directory) && !equal(path, directory);
}

/** After the last slash. */
inline const char* lastComponent(const char* path) {
  const char* name = path;
  for (; *path != '\0'; ++path) {
    if (*path == '/') name = path + 1;
  }
  return name;
}

/** Digits up to the first other character; stops growing before it overflows. */
inline uint64_t parseDecimal(const char* text) {
  uint64_t value = 0;
  for (; *text >= '0' && *text <= '9' && value < (1ULL << 58); ++text)
    value = value * 10 + static_cast<unsigned>(*text - '0');
  return value;
}

/** The value of a digit, or more than any base for another character. */
inline unsigned digitOf(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  return c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a' + 10) : ~0U;
}

/** Moves `text` past the digits. False when there are none, or the number does not fit. */
inline bool readNumber(const char*& text, unsigned base, uint64_t& value) {
  const char* begin = text;
  value = 0;
  for (; digitOf(*text) < base; ++text) {
    if (value > (UINT64_MAX - digitOf(*text)) / base) return false;
    value = value * base + digitOf(*text);
  }
  return text != begin;
}

/** Bytes of the UTF-8 character at `text`; 0 for a control character (U+009B is one too), and for what is none. */
inline size_t printableLength(const char* text) {
  const auto* byte = reinterpret_cast<const unsigned char*>(text);
  if (byte[0] < 0x80) return byte[0] >= 0x20 && byte[0] != 0x7f ? 1 : 0;
  if (byte[0] < 0xc2 || byte[0] > 0xf4 || (byte[0] == 0xc2 && byte[1] < 0xa0)) return 0;
  const size_t length = byte[0] < 0xe0 ? 2 : byte[0] < 0xf0 ? 3 : 4;
  for (size_t i = 1; i < length; ++i) {
    // The NUL at the end is none of these.
    if ((byte[i] & 0xc0) != 0x80) return 0;
  }
  return length;
}

template <size_t Capacity>
class Text {
 public:
  // The bytes stay uninitialised: clearing 4 KB for each line of mountinfo would be felt.
  Text() { data_[0] = '\0'; }

  Text& add(const char* text) {
    while (*text != '\0') add(*text++);
    return *this;
  }
  Text& add(char c) {
    if (length_ + 1 >= Capacity) {
      overflow_ = true;
    } else {
      data_[length_++] = c;
      data_[length_] = '\0';
    }
    return *this;
  }
  Text& addDecimal(uint64_t value) { return addDigits(value, 10, 1); }
  /** Lower case, at least `width` digits. */
  Text& addHex(uint64_t value, int width = 1) { return addDigits(value, 16, width); }
  /** With control characters and what is no UTF-8 as \xNN: what comes from a file must not steer a terminal. */
  Text& addEscaped(const char* text) {
    while (*text != '\0') {
      size_t length = printableLength(text);
      if (length == 0) add("\\x").addHex(static_cast<unsigned char>(*text++), 2);
      for (; length > 0; --length) add(*text++);
    }
    return *this;
  }
  void clear() {
    truncate(0);
    overflow_ = false;
  }
  void truncate(size_t length) {
    length_ = length;
    data_[length_] = '\0';
  }
  const char* get() const { return data_; }
  size_t length() const { return length_; }
  /** False when something did not fit; the text is then cut short. */
  bool fits() const { return !overflow_; }

 private:
  Text& addDigits(uint64_t value, unsigned base, int width) {
    char digits[20];
    int count = 0;
    do {
      digits[count++] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0);
    for (int missing = width - count; missing > 0; --missing) add('0');
    while (count > 0) add(digits[--count]);
    return *this;
  }

  // First, so that a short text touches one page of memory, not two.
  size_t length_ = 0;
  bool overflow_ = false;
  char data_[Capacity];
};

/** PATH_MAX with the NUL. */
using PathText = Text<4096>;

}  // namespace appc
