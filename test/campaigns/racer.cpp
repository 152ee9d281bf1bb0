// Mounts a plan and takes the mounts away, again and again in one namespace, while an attacker exchanges names:
//
//     racer core|naive PLAN ATTEMPTS FORBIDDEN…
//
// `core` mounts as the launcher does, `naive` by real paths and mount(2), to show that the attack is one. An attempt is
// one directory laid over another, or one bound into the tree. One has escaped when a mount lies on a FORBIDDEN
// directory, or when what is in one (a file called "forbidden") is seen where something was mounted.
//
// Prints attempts, those that came to an end, and escapes.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "mounts.h"
#include "namespaces.h"
#include "plan.h"
#include "root.h"
#include "sys.h"

namespace {

using namespace appc;

[[noreturn]] void giveUp(const char* what) {
  perror(what);
  exit(2);
}

struct Place {
  const char* path;
  uint64_t mount;
};

uint64_t mountAt(const char* path) {
  struct statx status;
  if (sys::statAt(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, status) < 0) giveUp(path);
  return status.stx_mnt_id;
}

bool isCovered(const std::vector<Place>& places) {
  for (const Place& place : places) {
    if (mountAt(place.path) != place.mount) return true;
  }
  return false;
}

bool shows(int directory, const char* name) { return faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0; }

struct Count {
  long attempts = 0;
  long mounted = 0;
  long escapes = 0;
};

bool hasEscaped(const Plan& plan, const Overlays& overlays, const RootTree& root, const std::vector<Place>& forbidden) {
  bool escaped = isCovered(forbidden) || (root.get() >= 0 && shows(root.get(), "forbidden"));
  for (uint32_t i = 0; i < plan.overlays().count; ++i) {
    const int mounted = overlays.mounted(i);
    if (mounted < 0) continue;
    escaped = escaped || shows(mounted, "forbidden") || shows(mounted, ".appc-host/forbidden");
  }
  return escaped;
}

/** As setUp() in native/launcher/launch.cpp, but for entering the tree. */
void mountByCore(const Plan& plan, const std::vector<Place>& forbidden, Count& count) {
  auto overlays = std::make_unique<Overlays>();
  RootTree root;
  const sys::Descriptor machine(sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY));
  const char* tree = plan.text(plan.header().root);
  Result result = tree == nullptr ? success() : root.mount(tree);
  const int viewRoot = tree == nullptr ? machine.get() : root.get();
  if (result.ok()) result = overlays->open(plan, viewRoot);
  if (result.ok()) result = overlays->mount(plan, viewRoot, "appc");
  if (result.ok() && tree != nullptr) result = bindInto(plan, root.get());
  const long each = plan.overlays().count + plan.binds().count;
  count.attempts += each;
  if (result.ok()) count.mounted += each;
  if (hasEscaped(plan, *overlays, root, forbidden)) ++count.escapes;
  overlays->remove();
  root.remove();
}

std::string realPath(const std::string& path) {
  char* real = realpath(path.c_str(), nullptr);
  const std::string found = real == nullptr ? "" : real;
  free(real);
  return found;
}

long mountNaively(const char* source, const char* target, const char* type, unsigned long flags, const char* options) {
  return sys::call(SYS_mount, sys::word(source), sys::word(target), sys::word(type), sys::word(flags),
                   sys::word(options));
}

void mountByPath(const Plan& plan, const std::vector<Place>& forbidden, Count& count) {
  constexpr unsigned long bind = 4096;  // MS_BIND of mount(2)
  const char* root = plan.text(plan.header().root);
  const std::string tree = root == nullptr ? "" : root;
  std::vector<std::string> mounted;
  bool escaped = false;
  const auto judge = [&](const std::string& target, long error) {
    ++count.attempts;
    if (error < 0) return;
    ++count.mounted;
    mounted.push_back(target);
    escaped = escaped || isCovered(forbidden);
  };
  for (const file::Overlay& overlay : plan.overlays()) {
    const std::string target = realPath(tree + plan.text(overlay.target));
    const std::string layer = realPath(plan.text(overlay.layer));
    // What a careful program would check.
    const bool allowed =
        target.find("/forbidden") == std::string::npos && layer.find("/forbidden") == std::string::npos;
    if (target.empty() || layer.empty() || !allowed) {
      ++count.attempts;
      continue;
    }
    const std::string options = "userxattr,lowerdir=" + layer + ":" + target;
    judge(target, mountNaively("appc", target.c_str(), "overlay", 1, options.c_str()));
  }
  for (const file::Bind& entry : plan.binds()) {
    const std::string target = realPath(tree + plan.text(entry.target));
    if (target.empty() || target.find("/forbidden") != std::string::npos) {
      ++count.attempts;
      continue;
    }
    judge(target, mountNaively(plan.text(entry.source), target.c_str(), nullptr, bind, nullptr));
  }
  if (escaped) ++count.escapes;
  for (const std::string& target : mounted) sys::call(SYS_umount2, sys::word(target.c_str()), MNT_DETACH);
  // What lies elsewhere than where it was meant to.
  for (const Place& place : forbidden) {
    while (mountAt(place.path) != place.mount) {
      if (sys::call(SYS_umount2, sys::word(place.path), MNT_DETACH) < 0) giveUp("umount2");
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  FILE* file = fopen(argv[2], "re");
  alignas(8) static char bytes[1 << 16];
  const size_t size = file == nullptr ? 0 : fread(bytes, 1, sizeof bytes, file);
  Plan plan;
  if (!Plan::decode(bytes, size, plan).ok()) giveUp("the plan");
  Namespaces namespaces;
  if (!enterNamespaces(namespaces).ok()) giveUp("the namespaces");
  std::vector<Place> forbidden;
  for (int i = 4; i < argc; ++i) forbidden.push_back({argv[i], mountAt(argv[i])});
  const bool naive = strcmp(argv[1], "naive") == 0;
  Count count;
  while (count.attempts < atol(argv[3])) {
    const long mounted = count.mounted;
    if (naive) {
      mountByPath(plan, forbidden, count);
    } else {
      mountByCore(plan, forbidden, count);
    }
    // The next attempt is not to meet the same names again.
    if (count.mounted == mounted) usleep(1);
  }
  printf("%ld %ld %ld\n", count.attempts, count.mounted, count.escapes);
  return 0;
}
