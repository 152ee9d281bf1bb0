// What the sanitizers must find when this is loaded: a control of scripts/check-sanitized.
#include <climits>
#include <cstdlib>

namespace {

struct Planted {
  Planted() {
    const char* kind = getenv("PLANTED");
    volatile int index = 8;
    if (kind != nullptr && *kind == 'a') {
      auto* bytes = static_cast<volatile char*>(malloc(8));
      bytes[index] = 1;
    } else {
      volatile int most = INT_MAX;
      most = most + index;
    }
  }
};

const Planted planted;

}  // namespace
