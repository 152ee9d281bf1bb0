#include "cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace appc {

#if defined(__x86_64__)
namespace {

constexpr bool hasAll(uint32_t bits, uint32_t wanted) { return (bits & wanted) == wanted; }

/** XCR0: the register state that the kernel saves; a feature whose registers it does not save is not usable. */
uint32_t savedState() {
  uint32_t low;
  uint32_t high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

constexpr uint32_t stateAvx = 0x6;      // XMM, YMM
constexpr uint32_t stateAvx512 = 0xe6;  // and opmask, ZMM

}  // namespace

// The features of the x86-64 psABI's levels, asked for as glibc does (sysdeps/x86/get-isa-level.h, cpu-features.c).
// Each cpuid costs 8 µs in a virtual machine, where it traps, so no more leaves are read than the answer needs.
uint32_t cpuLevel() {
  uint32_t a;
  uint32_t b;
  uint32_t c1;
  uint32_t d;
  __cpuid(1, a, b, c1, d);
  const uint32_t second = bit_SSE3 | bit_SSSE3 | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT | bit_CMPXCHG16B;
  if (!hasAll(c1, second)) return 1;
  uint32_t extended;
  __cpuid(0x80000001, a, b, extended, d);
  if (!hasAll(extended, bit_LAHF_LM)) return 1;

  if (!hasAll(c1, bit_AVX | bit_F16C | bit_FMA | bit_MOVBE | bit_OSXSAVE) || !hasAll(extended, bit_ABM)) return 2;
  const uint32_t saved = savedState();
  if (!hasAll(saved, stateAvx)) return 2;
  uint32_t b7;
  uint32_t c;
  // There is such a leaf: XSAVE, which is among the features above, is told of in leaf 13.
  __cpuid_count(7, 0, a, b7, c, d);
  if (!hasAll(b7, bit_AVX2 | bit_BMI | bit_BMI2)) return 2;

  const uint32_t fourth = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
  return hasAll(b7, fourth) && hasAll(saved, stateAvx512) ? 4 : 3;
}

bool cpuIsIntel() {
  uint32_t highest;
  uint32_t b;
  uint32_t c;
  uint32_t d;
  __cpuid(0, highest, b, c, d);
  return b == signature_INTEL_ebx && c == signature_INTEL_ecx && d == signature_INTEL_edx;
}
#else
uint32_t cpuLevel() { return 0; }
bool cpuIsIntel() { return false; }
#endif

}  // namespace appc
