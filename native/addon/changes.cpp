#include "changes.h"

#include <errno.h>
#include <linux/fanotify.h>
#include <string.h>
#include <sys/inotify.h>

#include <array>

namespace appc::addon {
namespace {

// A file's handle and, in one record, its parent's and its name there. Who may not have unlimited queues and marks is
// refused them.
constexpr unsigned reports = FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_REPORT_DFID_NAME | FAN_NONBLOCK;
constexpr unsigned unlimited = FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS;

// FAN_CLOSE_WRITE tells of what was written through a mapping, which is no FAN_MODIFY: the file is closed when it is
// unmapped.
constexpr uint64_t fanotifyOfFile = FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ATTRIB | FAN_DELETE_SELF | FAN_MOVE_SELF;
constexpr uint64_t fanotifyOfDirectory =
    fanotifyOfFile | FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_ONDIR | FAN_EVENT_ON_CHILD;
constexpr uint32_t inotifyOfFile = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;
constexpr uint32_t inotifyOfDirectory = inotifyOfFile | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;

// Both have the same bits for what they both tell.
static_assert(FAN_MODIFY == IN_MODIFY && FAN_CLOSE_WRITE == IN_CLOSE_WRITE && FAN_ATTRIB == IN_ATTRIB);
static_assert(FAN_CREATE == IN_CREATE && FAN_DELETE == IN_DELETE && FAN_MOVED_FROM == IN_MOVED_FROM);
static_assert(FAN_MOVED_TO == IN_MOVED_TO && FAN_DELETE_SELF == IN_DELETE_SELF && FAN_MOVE_SELF == IN_MOVE_SELF);

int32_t kindsOf(uint64_t events) {
  int32_t kinds = 0;
  if ((events & (IN_MODIFY | IN_CLOSE_WRITE)) != 0) kinds |= changedBytes;
  if ((events & IN_ATTRIB) != 0) kinds |= changedAttributes;
  if ((events & (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)) != 0) kinds |= changedNames;
  if ((events & (IN_DELETE_SELF | IN_MOVE_SELF)) != 0) kinds |= changedPlace;
  return kinds;
}

template <typename Header>
Header headerAt(const uint8_t* bytes) {
  Header header;
  memcpy(&header, bytes, sizeof header);
  return header;
}

/** A file_handle's bytes, with its type before them; empty where they do not fit. */
std::string keyOf(const uint8_t* bytes, size_t length) {
  if (length < sizeof(struct file_handle)) return {};
  const auto header = headerAt<struct file_handle>(bytes);
  if (header.handle_bytes > length - sizeof header) return {};
  std::string key(reinterpret_cast<const char*>(&header.handle_type), sizeof header.handle_type);
  return key.append(reinterpret_cast<const char*>(bytes) + sizeof header, header.handle_bytes);
}

/** Text that a NUL ends, or the end of the record. */
std::string nameAt(const uint8_t* bytes, size_t length) {
  const char* text = reinterpret_cast<const char*>(bytes);
  const std::string name(text, strnlen(text, length));
  return name == "." ? "" : name;
}

void takeInotify(const uint8_t* bytes, size_t length, Changes& changes) {
  for (size_t at = 0; length - at >= sizeof(inotify_event);) {
    const auto event = headerAt<inotify_event>(bytes + at);
    at += sizeof event;
    if (event.len > length - at) break;
    if ((event.mask & IN_Q_OVERFLOW) != 0) changes.lost = true;
    const int32_t kinds = kindsOf(event.mask);
    if (kinds != 0) changes.all.push_back({event.wd, kinds, 0, nameAt(bytes + at, event.len)});
    at += event.len;
  }
}

}  // namespace

ChangeQueue::ChangeQueue(Method method) : method_(method) {
  if (method == Method::inotify) {
    fd_.reset(sys::inotifyInit(IN_NONBLOCK));
    return;
  }
  const int fd = sys::fanotifyInit(reports | unlimited);
  fd_.reset(fd == -EPERM ? sys::fanotifyInit(reports) : fd);
}

int32_t ChangeQueue::add(const std::string& path, bool isDirectory) {
  if (method_ == Method::fanotify) return addByHandle(path, isDirectory);
  const uint32_t events = isDirectory ? inotifyOfDirectory | IN_ONLYDIR : inotifyOfFile;
  return sys::inotifyAdd(fd_.get(), path.c_str(), events | IN_DONT_FOLLOW);
}

int32_t ChangeQueue::addByHandle(const std::string& path, bool isDirectory) {
  constexpr unsigned most = MAX_HANDLE_SZ;
  alignas(struct file_handle) std::array<uint8_t, sizeof(struct file_handle) + most> bytes{};
  auto* handle = reinterpret_cast<struct file_handle*>(bytes.data());
  handle->handle_bytes = most;
  if (const int error = sys::nameToHandle(path.c_str(), handle); error < 0) return error;
  // What takes its name meanwhile is watched under a wrong number: its directory, which was watched before, tells.
  const unsigned flags = FAN_MARK_ADD | FAN_MARK_DONT_FOLLOW | (isDirectory ? FAN_MARK_ONLYDIR : 0U);
  const int error =
      sys::fanotifyMark(fd_.get(), flags, isDirectory ? fanotifyOfDirectory : fanotifyOfFile, path.c_str());
  if (error < 0) return error;
  const auto [found, isNew] = watches_.try_emplace(keyOf(bytes.data(), bytes.size()), next_);
  if (isNew) ++next_;
  return found->second;
}

Result ChangeQueue::take(Changes& changes) {
  // As much as many events take; the kernel gives whole ones only.
  alignas(fanotify_event_metadata) std::array<uint8_t, 1 << 16> buffer;
  // Who changes something all the time is not to keep all else from being done.
  for (int round = 0; round < 64; ++round) {
    const long count = sys::read(fd_.get(), buffer.data(), buffer.size());
    if (count == -EAGAIN) return success();
    if (count == -EINTR) continue;
    if (count < 0) return failure(Step::readChanges, nullptr, static_cast<int>(count));
    const auto length = static_cast<size_t>(count);
    if (method_ == Method::inotify) {
      takeInotify(buffer.data(), length, changes);
    } else if (!takeFanotify(buffer.data(), length, changes)) {
      return failure(Step::readChanges, nullptr, EOVERFLOW);
    }
  }
  return success();
}

/** False for what is no such event. */
bool ChangeQueue::takeFanotify(const uint8_t* bytes, size_t length, Changes& changes) {
  for (size_t at = 0; length - at >= sizeof(fanotify_event_metadata);) {
    const auto event = headerAt<fanotify_event_metadata>(bytes + at);
    if (event.vers != FANOTIFY_METADATA_VERSION || event.metadata_len < sizeof event) return false;
    if (event.event_len < event.metadata_len || event.event_len > length - at) return false;
    if ((event.mask & FAN_Q_OVERFLOW) != 0) changes.lost = true;
    const uint8_t* record = bytes + at + event.metadata_len;
    size_t left = event.event_len - event.metadata_len;
    while (left >= sizeof(fanotify_event_info_header)) {
      const auto header = headerAt<fanotify_event_info_header>(record);
      if (header.len < sizeof header || header.len > left) return false;
      takeRecord(record, header.len, event.mask, event.pid, changes);
      record += header.len;
      left -= header.len;
    }
    at += event.event_len;
  }
  return true;
}

void ChangeQueue::takeRecord(const uint8_t* record, size_t length, uint64_t events, int32_t process, Changes& changes) {
  constexpr size_t start = sizeof(fanotify_event_info_fid);
  const uint8_t type = headerAt<fanotify_event_info_header>(record).info_type;
  const bool isNamed = type == FAN_EVENT_INFO_TYPE_DFID_NAME;
  if (length < start || (!isNamed && type != FAN_EVENT_INFO_TYPE_FID && type != FAN_EVENT_INFO_TYPE_DFID)) return;
  const std::string key = keyOf(record + start, length - start);
  const auto found = watches_.find(key);
  // A parent that is not watched: a file has other names, too.
  const int32_t kinds = kindsOf(events);
  if (found == watches_.end() || kinds == 0) return;
  const size_t end = start + sizeof(struct file_handle) + key.size() - sizeof(int);
  changes.all.push_back({found->second, kinds, process, isNamed ? nameAt(record + end, length - end) : ""});
  // The kernel has forgotten it, too, and no other will be called so.
  if ((events & FAN_DELETE_SELF) != 0) watches_.erase(found);
}

}  // namespace appc::addon
