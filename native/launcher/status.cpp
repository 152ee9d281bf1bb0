#include "status.h"

#include <errno.h>

#include "process.h"
#include "text.h"

namespace appc {
namespace {

constexpr const char* namespaces[] = {"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"};

/** One write, so that a reader finds whole lines. */
Result write(int fd, const char* line, size_t length) {
  const long written = sys::write(fd, line, length);
  // Who asked has gone (SIGPIPE is blocked): that is no reason to end the program.
  if (written == static_cast<long>(length) || written == -EPIPE || written == -ECONNRESET) return success();
  return failure(Step::tellStatus, nullptr, written < 0 ? static_cast<int>(written) : 0);
}

}  // namespace

Result tellStarted(int fd, int program) {
  if (fd < 0) return success();
  Text<1024> line;
  line.add(R"({"event":"started","pid":)").addDecimal(static_cast<uint64_t>(program)).add(R"(,"namespaces":{)");
  bool first = true;
  for (const char* name : namespaces) {
    Text<64> path;
    path.add("/proc/").addDecimal(static_cast<uint64_t>(program)).add("/ns/").add(name);
    char link[64];
    const long length = sys::readlink(AT_FDCWD, path.get(), link, sizeof link - 1);
    // A kernel without this kind of namespace; or a program that has ended already.
    if (length < 0) continue;
    link[length] = '\0';
    // `net:[4026531840]`
    const char* number = link;
    while (*number != '\0' && *number != '[') ++number;
    if (*number == '[') ++number;
    if (!first) line.add(',');
    first = false;
    line.add('"').add(name).add(R"(":)").addDecimal(parseDecimal(number));
  }
  line.add("}}\n");
  return write(fd, line.get(), line.length());
}

Result tellExited(int fd, int status) {
  if (fd < 0) return success();
  Text<128> line;
  line.add(R"({"event":"exited",)");
  if (WIFEXITED(status)) {
    line.add(R"("status":)").addDecimal(static_cast<uint64_t>(WEXITSTATUS(status)));
  } else {
    line.add(R"("signal":)").addDecimal(static_cast<uint64_t>(WTERMSIG(status)));
  }
  line.add("}\n");
  return write(fd, line.get(), line.length());
}

}  // namespace appc
