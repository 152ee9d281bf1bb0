// What tests do with the bytes of a plan: make the checksum right again, and read all that the decoder gives of them.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "plan.h"
#include "xxhash32.h"

namespace planbytes {

/** What changes the rest is to be looked at by the checks behind the checksum. */
inline void mendChecksum(uint8_t* bytes, size_t size) {
  if (size < sizeof(appc::file::Header)) return;
  const size_t checkedFrom = offsetof(appc::file::Header, size);
  const uint32_t checksum = appc::xxHash32(bytes + checkedFrom, size - checkedFrom);
  memcpy(bytes + offsetof(appc::file::Header, checksum), &checksum, sizeof checksum);
}

/** Every byte of it: a sanitizer sees a string that leads out of the memory. One of another length is a fault too. */
inline size_t readAll(const appc::Plan& plan, appc::file::String string) {
  const char* text = plan.text(string);
  if (text == nullptr) return 0;
  const size_t length = strlen(text);
  if (length != string.length) abort();
  return length;
}

inline size_t readAll(const appc::Plan& plan) {
  const appc::file::Header& header = plan.header();
  size_t total = readAll(plan, header.name) + readAll(plan, header.root) + readAll(plan, header.kernelRelease);
  for (const auto& string : plan.request()) total += readAll(plan, string);
  for (const auto& string : plan.loaderEnvironment()) total += readAll(plan, string);
  for (const auto& guard : plan.guards()) {
    total += readAll(plan, guard.path) + readAll(plan, guard.seenAs);
    if (guard.kind != appc::file::GuardKind::names) continue;
    for (appc::GuardedNames names(plan, guard); names.next();) {
      total += strlen(names.name()) + (names.link() == nullptr ? 0 : strlen(names.link()));
    }
  }
  for (const auto& overlay : plan.overlays()) {
    total += readAll(plan, overlay.target) + readAll(plan, overlay.layer);
    for (const auto& string : plan.carried(overlay)) total += readAll(plan, string);
  }
  for (const auto& bind : plan.binds()) total += readAll(plan, bind.source) + readAll(plan, bind.target);
  for (const auto& program : plan.programs()) total += readAll(plan, program.name) + readAll(plan, program.path);
  for (const auto& string : plan.environment()) total += readAll(plan, string);
  for (const auto& string : plan.needs()) total += readAll(plan, string);
  for (const auto& object : plan.objects()) {
    if (object.executable > 1) abort();
    for (const uint8_t byte : object.sha256) total += byte;
    total += object.ino + object.size + static_cast<size_t>(object.mtimeNs ^ object.ctimeNs);
  }
  return total;
}

/** Decodes and reads a copy in memory of exactly this size, so that a read past the end is seen. */
inline bool isTaken(const uint8_t* bytes, size_t size) {
  auto* copy = static_cast<uint8_t*>(malloc(size));
  if (copy == nullptr && size != 0) abort();
  if (size != 0) memcpy(copy, bytes, size);
  appc::Plan plan;
  const bool taken = appc::Plan::decode(copy, size, plan).ok();
  // The sum is used, so that no reading is optimized away.
  if (taken && readAll(plan) == SIZE_MAX) abort();
  free(copy);
  return taken;
}

}  // namespace planbytes
