// Changes to files and directories, as the kernel tells of them: by fanotify(7), or by inotify(7), which knows less.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "result.h"
#include "sys.h"

namespace appc::addon {

// What has changed. lib/launch/addon.ts knows the numbers.
constexpr int32_t changedBytes = 1;
constexpr int32_t changedAttributes = 2;
constexpr int32_t changedNames = 4;
constexpr int32_t changedPlace = 8;

struct Change {
  /** What was watched. */
  int32_t watch;
  int32_t kinds;
  /** Whose doing it was; 0 where the kernel does not say. */
  int32_t process;
  /** Of what lies in the directory that was watched; empty for that itself, and for files. */
  std::string name;
};

struct Changes {
  std::vector<Change> all;
  /** There were more than the kernel kept. */
  bool lost = false;
};

/** A queue of changes to what is watched: inodes, by whatever name they are reached. */
class ChangeQueue {
 public:
  enum class Method { fanotify, inotify };

  explicit ChangeQueue(Method method);

  /** A negative errno where the kernel has none to give. */
  int descriptor() const { return fd_.get(); }
  /** A number, the same for the same inode, or a negative errno. */
  int32_t add(const std::string& path, bool isDirectory);
  /** All that there is without waiting. */
  Result take(Changes& changes);

 private:
  int32_t addByHandle(const std::string& path, bool isDirectory);
  bool takeFanotify(const uint8_t* bytes, size_t length, Changes& changes);
  void takeRecord(const uint8_t* record, size_t length, uint64_t events, int32_t process, Changes& changes);

  Method method_;
  sys::Descriptor fd_;
  /** Watches of fanotify's, by what its events call a file. */
  std::unordered_map<std::string, int32_t> watches_;
  int32_t next_ = 0;
};

}  // namespace appc::addon
