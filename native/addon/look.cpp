#include "look.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <memory>

namespace appc::addon {
namespace {

uint64_t nanoseconds(const timespec& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

}  // namespace

void describe(const struct stat& stat, uint64_t* row) {
  const uint64_t values[columns] = {0,
                                    stat.st_dev,
                                    stat.st_ino,
                                    static_cast<uint64_t>(stat.st_size),
                                    nanoseconds(stat.st_mtim),
                                    nanoseconds(stat.st_ctim),
                                    stat.st_mode,
                                    stat.st_uid,
                                    stat.st_gid};
  for (size_t i = 0; i < columns; ++i) row[i] = values[i];
}

int openRegular(const char* path, uint64_t* row) {
  struct stat stat;
  // Some devices act when they are only opened: a watchdog begins to count, a tape is rewound.
  if (::lstat(path, &stat) < 0) return -errno;
  if (!S_ISREG(stat.st_mode)) return -EINVAL;
  // It may have become something else since. O_NOFOLLOW: a link of a tree may lead out of it. O_NONBLOCK: opening a
  // FIFO must not wait for a writer.
  const int fd = ::open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return -errno;
  int error = ::fstat(fd, &stat) < 0 ? errno : 0;
  if (error == 0 && !S_ISREG(stat.st_mode)) error = EINVAL;
  if (error != 0) {
    ::close(fd);
    return -error;
  }
  describe(stat, row);
  return fd;
}

int32_t listDirectory(const char* path, std::string& names, std::vector<uint64_t>& rows) {
  const int fd = ::open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -errno;
  const std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd));
  if (directory == nullptr) {
    const int error = errno;
    ::close(fd);
    return -error;
  }
  int32_t count = 0;
  for (;;) {
    errno = 0;
    // Of a stream that no other thread has: readdir(3).
    const struct dirent* entry = ::readdir(directory.get());  // NOLINT(concurrency-mt-unsafe)
    if (entry == nullptr) return errno != 0 ? -errno : count;
    if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
    names.append(entry->d_name).push_back('/');
    struct stat stat;
    uint64_t row[columns] = {};
    // By the directory's descriptor: looking up its path each time takes longer than the look at the file.
    if (::fstatat(fd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) == 0) {
      describe(stat, row);
    } else {
      row[0] = static_cast<uint64_t>(errno);
    }
    rows.insert(rows.end(), row, row + columns);
    ++count;
  }
}

int32_t readFully(int fd, uint8_t* bytes, size_t length, off_t position) {
  size_t done = 0;
  while (done < length) {
    const ssize_t count = ::pread(fd, bytes + done, length - done, position + static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -errno;
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return static_cast<int32_t>(done);
}

}  // namespace appc::addon
