// The binary plan file (docs/formats.md, "Plan file"; written by lib/plan/file.ts). Decoding checks every count, offset
// and string once; afterwards the accessors need no checks.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "result.h"

namespace appc {

/** In the order of LOADER_VARIABLES (lib/plan/types.ts). */
inline constexpr const char* loaderVariables[] = {
    "LD_LIBRARY_PATH", "LD_PRELOAD",       "LD_AUDIT",       "LD_ORIGIN_PATH",
    "LD_HWCAP_MASK",   "LD_ASSUME_KERNEL", "GLIBC_TUNABLES",
};
inline constexpr size_t loaderVariableCount = sizeof loaderVariables / sizeof loaderVariables[0];

inline constexpr size_t maxPlanSize = 16 << 20;
inline constexpr uint32_t maxOverlays = 64;
inline constexpr uint32_t maxCarried = 256;
inline constexpr uint32_t maxBinds = 64;
inline constexpr uint32_t maxObjects = 131072;

/** The records as they lie in the file; little-endian like the machines. */
namespace file {

/** Offset 0 means null. The string is followed by a NUL that `length` does not count. */
struct String {
  uint32_t offset;
  uint32_t length;
};

struct Table {
  uint32_t offset;
  uint32_t count;
};

struct Header {
  char magic[8];
  uint32_t version;
  /** xxHash32() of everything after this field. */
  uint32_t checksum;
  uint32_t size;
  uint32_t uid;
  uint32_t gid;
  uint32_t cpuLevel;
  String name;
  String root;
  String kernelRelease;
  Table request;
  Table loaderEnvironment;
  Table guards;
  Table overlays;
  Table carried;
  Table binds;
  Table programs;
  Table environment;
  Table needs;
  Table objects;
  /** Of all objects. */
  uint64_t objectsDev;
};

enum class GuardKind : uint32_t { identity = 0, absent = 1, names = 2 };

struct Guard {
  GuardKind kind;
  uint32_t mode;
  String path;
  String seenAs;
  uint64_t dev;
  uint64_t ino;
  uint64_t size;
  int64_t mtimeNs;
  int64_t ctimeNs;
  /** Pairs of strings, each with its NUL: see GuardedNames. */
  String names;
};

struct Overlay {
  String target;
  String layer;
  /** A run of the `carried` table. */
  uint32_t firstCarried;
  uint32_t carriedCount;
};

struct Bind {
  String source;
  String target;
};

struct Program {
  String name;
  String path;
};

/** A private file, by its name in the store and its identity there. */
struct Object {
  uint8_t sha256[32];
  uint64_t ino;
  uint64_t size;
  int64_t mtimeNs;
  int64_t ctimeNs;
  /** 0 or 1. */
  uint32_t executable;
  uint32_t unused;
};

static_assert(sizeof(Header) == 144 && sizeof(Guard) == 72 && sizeof(Overlay) == 24 && sizeof(Object) == 72);
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

}  // namespace file

template <typename Record>
struct Records {
  const Record* first = nullptr;
  uint32_t count = 0;

  const Record* begin() const { return first; }
  const Record* end() const { return first + count; }
  const Record& operator[](uint32_t index) const { return first[index]; }
};

class Plan {
 public:
  /** Takes no ownership: `bytes`, aligned to 8, must outlive `plan`. */
  static Result decode(const void* bytes, size_t size, Plan& plan);

  const file::Header& header() const { return *header_; }
  /** Null where the file says null. */
  const char* text(file::String string) const {
    return string.offset == 0 ? nullptr : reinterpret_cast<const char*>(header_) + string.offset;
  }
  Records<file::String> request() const { return records<file::String>(header_->request); }
  /** loaderVariableCount values, null for what was unset. */
  Records<file::String> loaderEnvironment() const { return records<file::String>(header_->loaderEnvironment); }
  Records<file::Guard> guards() const { return records<file::Guard>(header_->guards); }
  Records<file::Overlay> overlays() const { return records<file::Overlay>(header_->overlays); }
  Records<file::String> carried(const file::Overlay& overlay) const {
    return {records<file::String>(header_->carried).first + overlay.firstCarried, overlay.carriedCount};
  }
  Records<file::Bind> binds() const { return records<file::Bind>(header_->binds); }
  Records<file::Program> programs() const { return records<file::Program>(header_->programs); }
  /** Each `NAME=VALUE` to set, or `NAME` to unset. */
  Records<file::String> environment() const { return records<file::String>(header_->environment); }
  /** What the container's programs need of the host when they are confined, in the words of --allow. */
  Records<file::String> needs() const { return records<file::String>(header_->needs); }
  Records<file::Object> objects() const { return records<file::Object>(header_->objects); }

 private:
  template <typename Record>
  Records<Record> records(file::Table table) const {
    return {reinterpret_cast<const Record*>(reinterpret_cast<const char*>(header_) + table.offset), table.count};
  }

  const file::Header* header_ = nullptr;
};

/**
 * The names of a guard of that kind, one by one: they are many, and looked at only when their directory has changed, so
 * decoding has made sure no more than that a NUL ends the last one.
 */
class GuardedNames {
 public:
  GuardedNames(const Plan& plan, const file::Guard& guard)
      : at_(plan.text(guard.names)), end_(at_ + guard.names.length + 1) {}

  /** False when there are no more. */
  bool next();
  const char* name() const { return name_; }
  /** The text of the link of that name; null where there is to be nothing. */
  const char* link() const { return *link_ == '\0' ? nullptr : link_; }

 private:
  const char* at_;
  const char* end_;
  const char* name_ = nullptr;
  const char* link_ = nullptr;
};

}  // namespace appc
