// The decoder of plans under libFuzzer: whatever the bytes are, nothing outside of them is read, and what is taken can
// be read whole. The mutator knows where offsets, lengths and counts stand, and makes the checksum right again.
#include <algorithm>
#include <array>
#include <random>

#include "plan-bytes.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t maxSize);

namespace {

using Random = std::minstd_rand;

constexpr size_t wordSize = sizeof(uint32_t);
/** The magic and the version: anything else would be refused at once. */
constexpr size_t kept = 12;

size_t below(Random& random, size_t limit) { return std::uniform_int_distribution<size_t>(0, limit - 1)(random); }

uint32_t wordAt(const uint8_t* data, size_t offset) {
  uint32_t word = 0;
  memcpy(&word, data + offset, wordSize);
  return word;
}

/** A word of the file becomes one at which something ends, or another word of the file, or nearly. */
void changeWord(uint8_t* data, size_t size, Random& random) {
  const size_t words = size / wordSize;
  const size_t inHeader = std::min(words, sizeof(appc::file::Header) / wordSize);
  const size_t at = wordSize * below(random, below(random, 2) == 0 ? inHeader : words);
  const auto whole = static_cast<uint32_t>(size);
  const uint32_t other = wordAt(data, wordSize * below(random, words));
  const std::array<uint32_t, 8> bases = {0, whole, other, other, wordAt(data, at), 0x7fffffff, 0xffffffff, 65536};
  const std::array<uint32_t, 6> steps = {0, 1, 8, 0xffffffff, 0xfffffff8, 64};
  const uint32_t word = bases.at(below(random, bases.size())) + steps.at(below(random, steps.size()));
  memcpy(data + at, &word, wordSize);
}

/** A string, a table or a part of a record goes where another is. */
void copyPair(uint8_t* data, size_t size, Random& random) {
  const size_t pairs = size / (2 * wordSize);
  memmove(data + 2 * wordSize * below(random, pairs), data + 2 * wordSize * below(random, pairs), 2 * wordSize);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  planbytes::isTaken(data, size);
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t maxSize, unsigned seed) {
  Random random(seed);
  // As any bytes, a time in sixteen.
  if (size < sizeof(appc::file::Header) || below(random, 16) == 0) return LLVMFuzzerMutate(data, size, maxSize);
  std::array<uint8_t, kept> begin{};
  memcpy(begin.data(), data, kept);
  switch (below(random, 3)) {
    case 0:
      size = std::max(LLVMFuzzerMutate(data, size, maxSize), sizeof(appc::file::Header));
      break;
    case 1:
      for (size_t times = 1 + below(random, 3); times > 0; --times) changeWord(data, size, random);
      break;
    default:
      copyPair(data, size, random);
  }
  memcpy(data, begin.data(), kept);
  const auto whole = static_cast<uint32_t>(size);
  // Else it would be refused before anything of it is looked at; rarely that is what is asked for.
  if (below(random, 32) != 0) memcpy(data + offsetof(appc::file::Header, size), &whole, sizeof whole);
  planbytes::mendChecksum(data, size);
  return size;
}
