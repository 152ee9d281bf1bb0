#include "capabilities.h"

#include <errno.h>
#include <linux/capability.h>

#include "process.h"

namespace appc {

Result forbidNewPrivileges() {
  const int error = sys::control(PR_SET_NO_NEW_PRIVS, 1);
  return error < 0 ? failure(Step::dropCapabilities, "no_new_privs", error) : success();
}

Result dropFromBounds(unsigned capability) {
  const int error = sys::control(PR_CAPBSET_DROP, capability);
  return error < 0 ? failure(Step::dropCapabilities, "the bounding set", error) : success();
}

Result dropCapabilities() {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3] = {};
  int error = static_cast<int>(sys::call(SYS_capget, sys::word(&header), sys::word(held)));
  if (error < 0) return failure(Step::dropCapabilities, nullptr, error);
  // The bounding set first, as that takes CAP_SETPCAP. Who has it not gets nothing back either: what exec gives goes
  // with no_new_privs no further than what there is.
  const bool bounds = (held[0].effective & (1U << CAP_SETPCAP)) != 0;
  // The kernel tells the end of its list by EINVAL; a newer one may know more of them than the header.
  for (unsigned capability = 0; bounds && capability < 64; ++capability) {
    const Result dropped = dropFromBounds(capability);
    if (dropped.error == EINVAL && capability > 0) break;
    if (!dropped.ok()) return dropped;
  }
  error = sys::control(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
  if (error < 0) return failure(Step::dropCapabilities, "the ambient set", error);
  // Inheritable too: CVE-2022-27650 of crun was one that was left.
  struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  error = static_cast<int>(sys::call(SYS_capset, sys::word(&header), sys::word(none)));
  return error < 0 ? failure(Step::dropCapabilities, nullptr, error) : success();
}

}  // namespace appc
