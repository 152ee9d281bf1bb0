// The words of --allow, --deny and of what a container needs.
#pragma once

#include "confinement.h"
#include "memory.h"

namespace appc {

/** Lets through what `text`, a word, stands for. False when it stands for nothing. */
bool grant(Confinement& confinement, const char* text);

/** Has a path of the host be seen; exits when there are too many. */
void show(Confinement& confinement, const char* path, bool writable);

/** Calls visit for each word of a list with commas. */
template <typename Visit>
void forEachWord(const char* list, Visit visit) {
  for (;;) {
    const char* end = list;
    while (*end != '\0' && *end != ',') ++end;
    visit(copied(list, static_cast<size_t>(end - list)));
    if (*end == '\0') return;
    list = end + 1;
  }
}

}  // namespace appc
