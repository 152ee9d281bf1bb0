#include "plan.h"

#include <string.h>

#include "text.h"
#include "xxhash32.h"

namespace appc {
namespace {

constexpr char magic[8] = {'a', 'p', 'p', 'c', 'p', 'l', 'a', 'n'};
constexpr uint32_t version = 5;
constexpr uint32_t maxPath = 4095;
constexpr uint32_t maxFileName = 255;
constexpr uint32_t maxString = 131071;  // MAX_ARG_STRLEN of the kernel: execve refuses longer ones
constexpr uint32_t maxRecords = 65536;
constexpr uint32_t maxNeeds = 64;

/** The bytes, with the questions that decoding asks of them. */
class Bytes {
 public:
  Bytes(const char* first, uint32_t size) : first_(first), size_(size) {}

  template <typename Record>
  bool holdsTable(file::Table table, uint32_t maxCount) const {
    return table.offset % 8 == 0 && table.offset >= sizeof(file::Header) && table.offset <= size_ &&
           table.count <= maxCount && table.count <= (size_ - table.offset) / sizeof(Record);
  }

  bool holdsString(file::String string, uint32_t maxLength) const {
    if (string.offset < sizeof(file::Header) || string.offset >= size_) return false;
    if (string.length > maxLength || string.length >= size_ - string.offset) return false;
    const char* text = first_ + string.offset;
    return text[string.length] == '\0' && memchr(text, '\0', string.length) == nullptr;
  }

  /** Strings one after the other: whether the last one ends where it should. */
  bool holdsStrings(file::String strings) const {
    return strings.offset >= sizeof(file::Header) && strings.offset < size_ &&
           strings.length < size_ - strings.offset && first_[strings.offset + strings.length] == '\0';
  }

  bool holdsPath(file::String string) const { return holdsString(string, maxPath) && first_[string.offset] == '/'; }

  static bool isNull(file::String string) { return string.offset == 0 && string.length == 0; }

 private:
  const char* first_;
  uint32_t size_;
};

bool tablesFit(const file::Header& header, const Bytes& bytes) {
  return bytes.holdsTable<file::String>(header.request, maxRecords) &&
         bytes.holdsTable<file::String>(header.loaderEnvironment, loaderVariableCount) &&
         header.loaderEnvironment.count == loaderVariableCount &&
         bytes.holdsTable<file::Guard>(header.guards, maxRecords) &&
         bytes.holdsTable<file::Overlay>(header.overlays, maxOverlays) &&
         bytes.holdsTable<file::String>(header.carried, maxCarried) &&
         bytes.holdsTable<file::Bind>(header.binds, maxBinds) &&
         bytes.holdsTable<file::Program>(header.programs, maxRecords) &&
         bytes.holdsTable<file::String>(header.environment, maxRecords) &&
         bytes.holdsTable<file::String>(header.needs, maxNeeds) &&
         bytes.holdsTable<file::Object>(header.objects, maxObjects);
}

bool guardHolds(const file::Guard& guard, const Bytes& bytes) {
  if (guard.kind > file::GuardKind::names || !bytes.holdsPath(guard.path)) return false;
  if (!Bytes::isNull(guard.seenAs) && !bytes.holdsPath(guard.seenAs)) return false;
  return guard.kind != file::GuardKind::names || bytes.holdsStrings(guard.names);
}

bool factsHold(const Plan& plan, const Bytes& bytes) {
  const file::Header& header = plan.header();
  if (!bytes.holdsString(header.name, maxPath) || !bytes.holdsString(header.kernelRelease, 64)) return false;
  if (!Bytes::isNull(header.root) && !bytes.holdsPath(header.root)) return false;
  for (const file::String& string : plan.request()) {
    if (!bytes.holdsString(string, maxPath)) return false;
  }
  for (const file::String& value : plan.loaderEnvironment()) {
    if (!Bytes::isNull(value) && !bytes.holdsString(value, maxString)) return false;
  }
  for (const file::Guard& guard : plan.guards()) {
    if (!guardHolds(guard, bytes)) return false;
  }
  return true;
}

bool overlaysHold(const Plan& plan, const Bytes& bytes) {
  const uint32_t carriedCount = plan.header().carried.count;
  for (const file::Overlay& overlay : plan.overlays()) {
    if (!bytes.holdsPath(overlay.target) || !bytes.holdsPath(overlay.layer)) return false;
    if (overlay.firstCarried > carriedCount || overlay.carriedCount > carriedCount - overlay.firstCarried) return false;
    for (const file::String& carried : plan.carried(overlay)) {
      if (!bytes.holdsPath(carried) || !isStrictlyBelow(plan.text(carried), plan.text(overlay.target))) return false;
    }
  }
  return true;
}

bool operationsHold(const Plan& plan, const Bytes& bytes) {
  for (const file::Bind& bind : plan.binds()) {
    if (!bytes.holdsPath(bind.source) || !bytes.holdsPath(bind.target)) return false;
  }
  for (const file::Program& program : plan.programs()) {
    if (!bytes.holdsString(program.name, maxFileName) || !bytes.holdsPath(program.path)) return false;
  }
  for (const file::String& variable : plan.environment()) {
    if (!bytes.holdsString(variable, maxString)) return false;
    const char first = *plan.text(variable);
    if (first == '=' || first == '\0') return false;
  }
  for (const file::String& need : plan.needs()) {
    if (!bytes.holdsString(need, maxPath)) return false;
  }
  for (const file::Object& object : plan.objects()) {
    if (object.executable > 1) return false;
  }
  return true;
}

}  // namespace

bool GuardedNames::next() {
  if (at_ == end_) return false;
  name_ = at_;
  link_ = name_ + strlen(name_);
  // Behind the last string's NUL there is nothing: a name without a link beside it is to be absent.
  if (link_ + 1 < end_) ++link_;
  at_ = link_ + strlen(link_) + 1;
  return true;
}

Result Plan::decode(const void* bytes, size_t size, Plan& plan) {
  const Result damaged = failure(Step::decodePlan, nullptr, 0);
  if (size < sizeof(file::Header) || size > maxPlanSize) return damaged;
  const auto* header = static_cast<const file::Header*>(bytes);
  if (memcmp(header->magic, magic, sizeof magic) != 0 || header->version != version || header->size != size)
    return damaged;
  const size_t checkedFrom = offsetof(file::Header, size);
  const auto* first = static_cast<const char*>(bytes);
  if (header->checksum != xxHash32(first + checkedFrom, size - checkedFrom)) return damaged;
  const Bytes checked(first, header->size);
  if (!tablesFit(*header, checked)) return damaged;
  Plan decoded;
  decoded.header_ = header;
  if (!factsHold(decoded, checked) || !overlaysHold(decoded, checked) || !operationsHold(decoded, checked))
    return damaged;
  plan = decoded;
  return success();
}

}  // namespace appc
