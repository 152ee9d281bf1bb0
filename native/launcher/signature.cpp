#include "signature.h"

#include <linux/auxvec.h>

#include "confined.h"
#include "environment.h"
#include "guards.h"
#include "mountinfo.h"

namespace appc {
namespace {

/** Beside the parts of a confinement (confinement.h): a process stays beside the program; there is a confinement. */
constexpr uint32_t supervised = 1 << 16;
constexpr uint32_t confined = 1 << 17;
static_assert(part::all < supervised);

/** The name of the directory in which `path` lies. */
void addParentName(Signature& out, const char* path) {
  const char* end = lastComponent(path);
  if (end != path) --end;
  const char* begin = end;
  while (begin != path && begin[-1] != '/') --begin;
  while (begin != end) out.add(*begin++);
}

}  // namespace

Result sign(const Launch& launch, Signature& signature) {
  struct statx store;
  const char* path = launch.request.store;
  const int error = sys::statAt(AT_FDCWD, path, 0, STATX_INO, store);
  if (error < 0) return failure(Step::openDirectory, path, error);
  signature.add(overlaySource).add(':').addHex(deviceNumber(store)).add(':').addHex(store.stx_ino);
  signature.add('/').add(launch.request.key.get()).add('/');
  addParentName(signature, launch.plan.text(launch.plan.overlays()[0].layer));
  // 16 random bytes for each exec (getauxval(3)). The program that is executed gets others.
  uint64_t random = 0;
  const unsigned long address = auxiliaryValue(launch.environment, AT_RANDOM);
  // The kernel gives addresses as numbers.
  memcpy(&random, reinterpret_cast<const void*>(address), sizeof random);  // NOLINT(performance-no-int-to-ptr)
  signature.add('/').addHex(random, 16);
  uint32_t parts = needsSupervisor(launch) ? supervised : 0;
  if (launch.confined != nullptr) parts |= confined | launch.confined->confinement.parts;
  signature.add('/').addHex(parts);
  return success();
}

}  // namespace appc
