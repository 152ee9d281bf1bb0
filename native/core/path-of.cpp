#include "path-of.h"

#include "sys.h"

namespace appc {

int pathOf(int fd, PathText& path) {
  Text<32> link;
  link.add("/proc/self/fd/").addDecimal(static_cast<uint64_t>(fd));
  char buffer[4096];
  const long length = sys::readlink(AT_FDCWD, link.get(), buffer, sizeof buffer - 1);
  if (length < 0) return static_cast<int>(length);
  buffer[length] = '\0';
  path.clear();
  path.add(buffer);
  return 0;
}

}  // namespace appc
