#include "join.h"

#include <linux/nsfs.h>

#include "process.h"
#include "sys.h"

namespace appc {

Result joinNamespaces(const int* namespaces, size_t count, bool& forksAway) {
  forksAway = false;
  for (size_t i = 0; i < count; ++i) {
    const int type = sys::ioctl(namespaces[i], NS_GET_NSTYPE, 0L);
    if (type < 0) return failure(Step::joinNamespace, nullptr, type);
    if (const int error = sys::joinNamespace(namespaces[i], type); error < 0) {
      return failure(Step::joinNamespace, nullptr, error);
    }
    forksAway = forksAway || type == CLONE_NEWPID;
  }
  return success();
}

}  // namespace appc
