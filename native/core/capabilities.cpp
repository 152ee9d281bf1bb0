#include "capabilities.h"

#include <errno.h>
#include <linux/capability.h>

#include "process.h"

namespace appc {

Result forbidNewPrivileges() {
  const int error = sys::control(PR_SET_NO_NEW_PRIVS, 1);
  return error < 0 ? failure(Step::dropCapabilities, "no_new_privs", error) : success();
}

Result dropCapabilities() {
  // The bounding set first, as that takes CAP_SETPCAP. The kernel tells the end of its list by EINVAL; a newer one may
  // know more of them than the header.
  for (unsigned long capability = 0; capability < 64; ++capability) {
    const int error = sys::control(PR_CAPBSET_DROP, capability);
    if (error == -EINVAL && capability > 0) break;
    if (error < 0) return failure(Step::dropCapabilities, "the bounding set", error);
  }
  int error = sys::control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
  if (error < 0) return failure(Step::dropCapabilities, "the ambient set", error);
  // Inheritable too: CVE-2022-27650 of crun was one that was left.
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  error = static_cast<int>(sys::call(SYS_capset, sys::word(&header), sys::word(none)));
  return error < 0 ? failure(Step::dropCapabilities, nullptr, error) : success();
}

}  // namespace appc
