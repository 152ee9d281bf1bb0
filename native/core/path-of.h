#pragma once

#include "text.h"

namespace appc {

/** The path of an open file, as the kernel knows it; 0 or a negative errno. */
int pathOf(int fd, PathText& path);

}  // namespace appc
