#include "xxhash32.h"

#include <string.h>

namespace appc {
namespace {

// doc/xxhash_spec.md of xxHash 0.8. Chosen as it takes 3 µs for a plan of 17 KB, without instructions that not each
// processor has: a CRC by tables takes ten times that.
constexpr uint32_t prime1 = 0x9e3779b1;
constexpr uint32_t prime2 = 0x85ebca77;
constexpr uint32_t prime3 = 0xc2b2ae3d;
constexpr uint32_t prime4 = 0x27d4eb2f;
constexpr uint32_t prime5 = 0x165667b1;

uint32_t rotate(uint32_t value, int bits) { return (value << bits) | (value >> (32 - bits)); }

uint32_t readWord(const uint8_t* at) {
  uint32_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

uint32_t round(uint32_t lane, uint32_t word) { return rotate(lane + word * prime2, 13) * prime1; }

}  // namespace

uint32_t xxHash32(const void* bytes, size_t size) {
  const auto* at = static_cast<const uint8_t*>(bytes);
  size_t left = size;
  uint32_t hash = prime5;
  if (size >= 16) {
    uint32_t lane1 = prime1 + prime2;
    uint32_t lane2 = prime2;
    uint32_t lane3 = 0;
    uint32_t lane4 = 0 - prime1;
    for (; left >= 16; at += 16, left -= 16) {
      lane1 = round(lane1, readWord(at));
      lane2 = round(lane2, readWord(at + 4));
      lane3 = round(lane3, readWord(at + 8));
      lane4 = round(lane4, readWord(at + 12));
    }
    hash = rotate(lane1, 1) + rotate(lane2, 7) + rotate(lane3, 12) + rotate(lane4, 18);
  }
  hash += static_cast<uint32_t>(size);
  for (; left >= 4; at += 4, left -= 4) hash = rotate(hash + readWord(at) * prime3, 17) * prime4;
  for (; left > 0; ++at, --left) hash = rotate(hash + *at * prime5, 11) * prime1;
  hash = (hash ^ (hash >> 15)) * prime2;
  hash = (hash ^ (hash >> 13)) * prime3;
  return hash ^ (hash >> 16);
}

}  // namespace appc
