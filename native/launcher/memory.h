// Memory that is never given back: the process ends in exec, or with an error.
#pragma once

#include <stddef.h>

namespace appc {

/** What most launches take of it. */
inline constexpr size_t usualSize = 8 << 10;

/** Zeroed, aligned to 16; exits when there is none. */
void* allocate(size_t size);

/** Zeroed memory for `count` pointers; exits when there is none. */
const char** allocatePointers(size_t count);

/** `first` and `second` as one string; exits when there is no memory. */
const char* joined(const char* first, const char* second);

/** The first `length` bytes of a string as one of its own. */
const char* copied(const char* text, size_t length);

}  // namespace appc
