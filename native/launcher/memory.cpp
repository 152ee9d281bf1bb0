#include "memory.h"

#include <errno.h>
#include <string.h>

#include "explain.h"
#include "report.h"
#include "sys.h"

namespace appc {
namespace {

void* allocate(size_t size) {
  void* memory = sys::allocatePages(size);
  if (memory == nullptr) fail(Exit::failed, "cannot start the program", nullptr, errorText(ENOMEM), nullptr);
  return memory;
}

/** Returns where the next may follow. */
char* append(char* at, const char* text) {
  while (*text != '\0') *at++ = *text++;
  return at;
}

}  // namespace

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
