// Reads a plan file and decodes it truncated at every length and with every byte changed, under the sanitizers. The
// checksum is made right again after each change, so that the checks behind it are what answers. Everything a decoded
// plan gives is read. Prints how many were taken and how many refused.
#include <cstdint>
#include <cstdio>
#include <vector>

#include "plan-bytes.h"

namespace {

struct Counts {
  unsigned taken = 0;
  unsigned refused = 0;
};

void decode(std::vector<uint8_t> bytes, bool mendChecksum, Counts& counts) {
  if (mendChecksum) planbytes::mendChecksum(bytes.data(), bytes.size());
  ++(planbytes::isTaken(bytes.data(), bytes.size()) ? counts.taken : counts.refused);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  FILE* file = fopen(argv[1], "rb");
  if (file == nullptr) return 2;
  std::vector<uint8_t> bytes(1 << 16);
  bytes.resize(fread(bytes.data(), 1, bytes.size(), file));
  fclose(file);

  Counts whole;
  decode(bytes, false, whole);
  Counts unmended;
  Counts mended;
  for (size_t length = 0; length < bytes.size(); ++length) {
    std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length));
    decode(cut, false, unmended);
    if (length >= sizeof(appc::file::Header)) {
      const auto size = static_cast<uint32_t>(length);
      memcpy(cut.data() + offsetof(appc::file::Header, size), &size, sizeof size);
    }
    decode(cut, true, mended);
  }
  for (uint8_t& byte : bytes) {
    const uint8_t original = byte;
    for (const unsigned change : {0x01U, 0x08U, 0x80U, 0xffU}) {
      byte = static_cast<uint8_t>(original ^ change);
      decode(bytes, false, unmended);
      decode(bytes, true, mended);
    }
    byte = original;
  }
  printf("%u %u %u %u\n", whole.taken, unmended.taken, mended.taken, mended.refused);
  return 0;
}
