#include "limit-words.h"

#include "report.h"
#include "text.h"

namespace appc {
namespace {

/** Digits with K, M, G, T behind them (powers of 1024), or "unlimited" (all bits). */
bool parseSize(const char* text, uint64_t& value) {
  if (equal(text, "unlimited")) {
    value = ~0ULL;
    return true;
  }
  const char* at = text;
  value = 0;
  for (; *at >= '0' && *at <= '9'; ++at) {
    if (value >= 1ULL << 40) return false;
    value = value * 10 + static_cast<unsigned>(*at - '0');
  }
  if (at == text) return false;
  constexpr const char* units = "KMGT";
  for (unsigned unit = 0; unit < 4; ++unit) {
    if (*at != units[unit]) continue;
    if (value >= 1ULL << 23) return false;
    value <<= 10 * (unit + 1);
    ++at;
    break;
  }
  return *at == '\0';
}

/** A control group has limits or none, but no unlimited ones; and with nothing at all no program starts. */
bool isSome(uint64_t value) { return value != 0 && value != ~0ULL; }

/** `2` or `0.5`, in thousandths. */
bool parseProcessors(const char* text, uint64_t& thousandths) {
  const char* at = text;
  uint64_t value = 0;
  unsigned decimals = 0;
  for (bool point = false; *at != '\0'; ++at) {
    if (*at == '.' && !point && at != text) {
      point = true;
      continue;
    }
    if (*at < '0' || *at > '9' || value > 1000000 || decimals == 3) return false;
    value = value * 10 + static_cast<unsigned>(*at - '0');
    if (point) ++decimals;
  }
  for (; decimals < 3; ++decimals) value *= 10;
  thousandths = value;
  return value > 0;
}

struct Resource {
  const char* name;
  int resource;
};
constexpr Resource resources[] = {
    {"as", RLIMIT_AS},       {"core", RLIMIT_CORE},       {"cpu", RLIMIT_CPU},       {"data", RLIMIT_DATA},
    {"fsize", RLIMIT_FSIZE}, {"memlock", RLIMIT_MEMLOCK}, {"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC},
    {"stack", RLIMIT_STACK}, {"rtprio", RLIMIT_RTPRIO},   {"nice", RLIMIT_NICE},     {"msgqueue", RLIMIT_MSGQUEUE},
};

}  // namespace

void addLimit(ConfinementWords& words, const char* text) {
  const char* equals = text;
  while (*equals != '\0' && *equals != '=') ++equals;
  const auto nameIs = [&](const char* name) {
    return strlen(name) == static_cast<size_t>(equals - text) && startsWith(text, name);
  };
  const char* value = *equals == '=' ? equals + 1 : equals;
  bool valid = false;
  if (nameIs("memory")) {
    valid = parseSize(value, words.group.memory) && isSome(words.group.memory);
  } else if (nameIs("pids")) {
    valid = parseSize(value, words.group.processes) && isSome(words.group.processes);
  } else if (nameIs("cpus")) {
    valid = parseProcessors(value, words.group.processors);
  }
  for (const Resource& resource : resources) {
    if (!nameIs(resource.name) || words.limitCount == maxLimits) continue;
    ProcessLimit& limit = words.limits[words.limitCount++];
    limit = {resource.name, resource.resource, 0};
    valid = parseSize(value, limit.value);
  }
  if (!valid)
    fail(Exit::usage, "no limit:", text, nullptr, "write --limit nofile=1024, memory=512M, pids=100, cpus=1.5");
}

}  // namespace appc
