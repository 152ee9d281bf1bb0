#include "memory.h"

#include <errno.h>
#include <string.h>

#include "explain.h"
#include "report.h"
#include "sys.h"

namespace appc {
namespace {

/** As much as a usual launch takes. In .bss, as each mapping of its own costs as much as five guards. */
constexpr size_t atHand = 96 << 10;
alignas(16) char memory[atHand];
size_t used = 0;

/** Returns where the next may follow. */
char* append(char* at, const char* text) {
  while (*text != '\0') *at++ = *text++;
  return at;
}

}  // namespace

void* allocate(size_t size) {
  const size_t rounded = (size + 15) & ~static_cast<size_t>(15);
  if (rounded <= atHand - used && rounded >= size) {
    used += rounded;
    return memory + used - rounded;
  }
  void* pages = sys::allocatePages(size);
  if (pages == nullptr) fail(Exit::failed, "cannot start the program", nullptr, errorText(ENOMEM), nullptr);
  return pages;
}

const char** allocatePointers(size_t count) { return static_cast<const char**>(allocate(count * sizeof(const char*))); }

const char* joined(const char* first, const char* second) {
  auto* text = static_cast<char*>(allocate(strlen(first) + strlen(second) + 1));
  append(append(text, first), second);
  return text;
}

const char* copied(const char* text, size_t length) {
  auto* copy = static_cast<char*>(allocate(length + 1));
  memcpy(copy, text, length);
  return copy;
}

}  // namespace appc
