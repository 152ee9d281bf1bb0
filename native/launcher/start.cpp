// The program's first instruction, and the functions of <string.h> that the compiler calls on its own or the core uses.
// There is no libc below: its static start-up alone costs as much as the rest of a launch.
#include <stddef.h>
#include <stdint.h>

#include "launch.h"

#if defined(__x86_64__)
__asm__(
    ".globl _start\n"
    ".type _start, @function\n"
    "_start:\n"
    "  xor %ebp, %ebp\n"
    "  mov %rsp, %rdi\n"
    "  and $-16, %rsp\n"
    "  call appcStart\n"
    "  hlt\n");
#elif defined(__aarch64__)
__asm__(
    ".globl _start\n"
    ".type _start, %function\n"
    "_start:\n"
    "  mov x29, #0\n"
    "  mov x30, #0\n"
    "  mov x0, sp\n"
    "  bl appcStart\n"
    "  brk #0\n");
#endif

extern "C" {

/** `stack` as the kernel leaves it: argc, argv, null, environment, null. */
[[noreturn]] void appcStart(const long* stack) {
  const auto count = static_cast<size_t>(*stack);
  const auto* arguments = reinterpret_cast<const char* const*>(stack + 1);
  appc::launch(count, arguments, arguments + count + 1);
}

void* memcpy(void* to, const void* from, size_t size) {
  auto* out = static_cast<uint8_t*>(to);
  const auto* in = static_cast<const uint8_t*>(from);
  for (size_t i = 0; i < size; ++i) out[i] = in[i];
  return to;
}

void* memmove(void* to, const void* from, size_t size) {
  auto* out = static_cast<uint8_t*>(to);
  const auto* in = static_cast<const uint8_t*>(from);
  if (out <= in) return memcpy(to, from, size);
  for (size_t i = size; i > 0; --i) out[i - 1] = in[i - 1];
  return to;
}

void* memset(void* to, int value, size_t size) {
  auto* out = static_cast<uint8_t*>(to);
  for (size_t i = 0; i < size; ++i) out[i] = static_cast<uint8_t>(value);
  return to;
}

int memcmp(const void* a, const void* b, size_t size) {
  const auto* left = static_cast<const uint8_t*>(a);
  const auto* right = static_cast<const uint8_t*>(b);
  for (size_t i = 0; i < size; ++i) {
    if (left[i] != right[i]) return left[i] < right[i] ? -1 : 1;
  }
  return 0;
}

size_t strlen(const char* text) {
  size_t length = 0;
  while (text[length] != '\0') ++length;
  return length;
}

size_t strnlen(const char* text, size_t limit) {
  size_t length = 0;
  while (length < limit && text[length] != '\0') ++length;
  return length;
}

const void* memchr(const void* from, int value, size_t size) {
  const auto* at = static_cast<const uint8_t*>(from);
  // Eight bytes at a time, as each string of a plan is looked through: x - 1 borrows from the top bit where a byte x is
  // 0.
  constexpr uint64_t ones = 0x0101010101010101;
  for (uint64_t word; size >= sizeof word; at += sizeof word, size -= sizeof word) {
    __builtin_memcpy(&word, at, sizeof word);
    word ^= ones * static_cast<uint8_t>(value);
    if (((word - ones) & ~word & (ones << 7)) != 0) break;
  }
  for (; size > 0; ++at, --size) {
    if (*at == static_cast<uint8_t>(value)) return at;
  }
  return nullptr;
}

}  // extern "C"
