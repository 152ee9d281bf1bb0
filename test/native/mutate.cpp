// Reads a plan file and decodes it truncated at every length and with every byte changed, under the sanitizers. The
// checksum is made right again after each change, so that the checks behind it are what answers. Everything a decoded
// plan gives is read. Prints how many were taken and how many refused.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "crc32.h"
#include "plan.h"

namespace {

size_t readAll(const char* text) { return text == nullptr ? 0 : strlen(text); }

size_t readAll(const appc::Plan& plan) {
  size_t total = readAll(plan.text(plan.header().name)) + readAll(plan.text(plan.header().root)) +
                 readAll(plan.text(plan.header().kernelRelease));
  for (const auto& string : plan.request()) total += readAll(plan.text(string));
  for (const auto& string : plan.loaderEnvironment()) total += readAll(plan.text(string));
  for (const auto& guard : plan.guards()) {
    total += readAll(plan.text(guard.path)) + readAll(plan.text(guard.seenAs));
    for (const auto& name : plan.absences(guard)) total += readAll(plan.text(name));
  }
  for (const auto& overlay : plan.overlays()) {
    total += readAll(plan.text(overlay.target)) + readAll(plan.text(overlay.layer));
    for (const auto& string : plan.carried(overlay)) total += readAll(plan.text(string));
  }
  for (const auto& bind : plan.binds()) total += readAll(plan.text(bind.source)) + readAll(plan.text(bind.target));
  for (const auto& program : plan.programs())
    total += readAll(plan.text(program.name)) + readAll(plan.text(program.path));
  for (const auto& string : plan.environment()) total += readAll(plan.text(string));
  for (const auto& string : plan.needs()) total += readAll(plan.text(string));
  return total;
}

struct Counts {
  unsigned taken = 0;
  unsigned refused = 0;
  size_t bytes = 0;
};

/** In memory of exactly this size, so that a read past the end is seen. */
void decode(const std::vector<uint8_t>& bytes, bool mendChecksum, Counts& counts) {
  auto* copy = static_cast<uint8_t*>(malloc(bytes.size()));
  if (copy == nullptr) abort();
  if (!bytes.empty()) memcpy(copy, bytes.data(), bytes.size());
  const size_t checkedFrom = offsetof(appc::file::Header, size);
  if (mendChecksum && bytes.size() >= sizeof(appc::file::Header)) {
    const uint32_t crc = appc::crc32(copy + checkedFrom, bytes.size() - checkedFrom);
    memcpy(copy + offsetof(appc::file::Header, crc), &crc, sizeof crc);
  }
  appc::Plan plan;
  if (appc::Plan::decode(copy, bytes.size(), plan).ok()) {
    ++counts.taken;
    counts.bytes += readAll(plan);
  } else {
    ++counts.refused;
  }
  free(copy);
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
