// The system calls that the core makes, straight to the kernel: the launcher links no libc, and after fork in the addon
// nothing but these may be called. Each returns what the kernel returns: a negative errno on failure.
//
// <sys/mount.h> must not be included beside this header: before glibc 2.37 it contradicts <linux/mount.h>.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "text.h"

// In <sys/mount.h> alone; the values are the kernel's and fixed.
#ifndef MS_PRIVATE
#define MS_PRIVATE (1 << 18)
#endif
#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif
#ifndef SYS_listmount
#define SYS_listmount 458
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MOUNT_ATTR_SIZE_VER0
#error "linux/mount.h without mount_setattr(2), of Linux 5.12"
#endif

namespace appc::sys {

#if defined(__clang_analyzer__)
// It does not read assembly: what a pointer leads to may be written here.
long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0);
#elif defined(__x86_64__)
inline long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
inline long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
#else
#error "appc knows the system calls of x86-64 and aarch64"
#endif

inline long word(const void* pointer) { return reinterpret_cast<long>(pointer); }
inline long word(uint64_t value) { return static_cast<long>(value); }

inline int open(int directory, const char* path, int flags) {
  return static_cast<int>(call(SYS_openat, directory, word(path), flags | O_CLOEXEC, 0));
}
inline int openResolved(int directory, const char* path, int flags, uint64_t resolve) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.resolve = resolve;
  return static_cast<int>(call(SYS_openat2, directory, word(path), word(&how), sizeof how));
}
inline int setDescriptorFlags(int fd, int flags) { return static_cast<int>(call(SYS_fcntl, fd, F_SETFD, flags)); }
inline int close(int fd) { return static_cast<int>(call(SYS_close, fd)); }
inline long read(int fd, void* buffer, size_t size) { return call(SYS_read, fd, word(buffer), word(size)); }
inline long write(int fd, const void* buffer, size_t size) { return call(SYS_write, fd, word(buffer), word(size)); }
inline int statAt(int directory, const char* path, int flags, unsigned mask, struct statx& out) {
  return static_cast<int>(call(SYS_statx, directory, word(path), flags, mask, word(&out)));
}
inline int statfs(int fd, struct ::statfs& out) { return static_cast<int>(call(SYS_fstatfs, fd, word(&out))); }
/** The records of getdents64(2); 0 at the end. */
inline long getDirectoryEntries(int fd, void* buffer, size_t size) {
  return call(SYS_getdents64, fd, word(buffer), word(size));
}
inline int makeDirectory(int directory, const char* name, unsigned mode) {
  return static_cast<int>(call(SYS_mkdirat, directory, word(name), mode));
}
inline int makeNode(int directory, const char* name, unsigned type) {
  return static_cast<int>(call(SYS_mknodat, directory, word(name), type, 0));
}
inline int makeLink(const char* text, int directory, const char* name) {
  return static_cast<int>(call(SYS_symlinkat, word(text), directory, word(name)));
}
inline int removeFile(int directory, const char* name) {
  return static_cast<int>(call(SYS_unlinkat, directory, word(name), 0));
}
/** Not for a link. */
inline int changeMode(int directory, const char* name, unsigned mode) {
  return static_cast<int>(call(SYS_fchmodat, directory, word(name), mode));
}
inline int changeOwner(int fd, uint32_t uid, uint32_t gid) {
  return static_cast<int>(call(SYS_fchownat, fd, word(""), uid, gid, AT_EMPTY_PATH));
}
inline long readlink(int directory, const char* path, char* buffer, size_t size) {
  return call(SYS_readlinkat, directory, word(path), word(buffer), word(size));
}
/** Null when there is no memory; the pages are zero and belong to this process alone. */
inline void* allocatePages(size_t size) {
  const long result =
      call(SYS_mmap, 0, word(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  // The kernel's answer is a number.
  return result < 0 && result > -4096 ? nullptr : reinterpret_cast<void*>(result);  // NOLINT(performance-no-int-to-ptr)
}
/** Gives memory its pages at once. Before Linux 5.14 it is refused, and they come one by one when they are touched. */
inline void populate(void* memory, size_t size) {
  constexpr uintptr_t page = 4096;
  const uintptr_t first = reinterpret_cast<uintptr_t>(memory) & ~(page - 1);
  const uintptr_t end = (reinterpret_cast<uintptr_t>(memory) + size + page - 1) & ~(page - 1);
  call(SYS_madvise, static_cast<long>(first), static_cast<long>(end - first), MADV_POPULATE_WRITE);
}
inline int chdir(const char* path) { return static_cast<int>(call(SYS_chdir, word(path))); }
inline int fchdir(int fd) { return static_cast<int>(call(SYS_fchdir, fd)); }
/** Length with the terminating NUL. */
inline long getcwd(char* buffer, size_t size) { return call(SYS_getcwd, word(buffer), word(size)); }
/** Makes the directory the root and the working directory. */
inline int changeRoot(int directory) {
  const int error = fchdir(directory);
  return error < 0 ? error : static_cast<int>(call(SYS_chroot, word(".")));
}
inline int unshare(int flags) { return static_cast<int>(call(SYS_unshare, flags)); }
inline int joinNamespace(int fd, int type) { return static_cast<int>(call(SYS_setns, fd, type)); }

// Mounts, all by descriptor: a path could lead elsewhere by the time that the kernel walks it.

/** A path that leads to an open file, whatever becomes of its name, for calls that take nothing but a path. */
struct DescriptorPath : Text<32> {
  explicit DescriptorPath(int fd) { add("/proc/self/fd/").addDecimal(static_cast<uint64_t>(fd)); }
};

/** Of the mount whose root directory is open as `mount`, and of all below. Since Linux 5.12. */
inline int changeMounts(int mount, const mount_attr& attributes) {
  return static_cast<int>(
      call(SYS_mount_setattr, mount, word(""), AT_EMPTY_PATH | AT_RECURSIVE, word(&attributes), sizeof attributes));
}
/** MS_SLAVE or the like. */
inline int changePropagation(int mount, uint64_t propagation) {
  mount_attr attributes{};
  attributes.propagation = propagation;
  return changeMounts(mount, attributes);
}
/** Whether mounts lie in the one with this unique id that were made later: 0, 1 or a negative errno. Since Linux 6.8.
 */
inline int hasMountsIn(uint64_t mount) {
  // mnt_id_req of listmount(2), with the mount to begin after in its last field.
  const struct {
    uint32_t size;
    uint32_t reserved;
    uint64_t within;
    uint64_t after;
  } request{sizeof request, 0, mount, mount};
  uint64_t found = 0;
  return static_cast<int>(call(SYS_listmount, word(&request), word(&found), 1, 0));
}
/** Takes the mount away, with all below it. */
inline int detach(int mount) {
  return static_cast<int>(call(SYS_umount2, word(DescriptorPath(mount).get()), MNT_DETACH));
}
/** Makes the mount the root and the working directory, and takes the old root away with all that is mounted there. */
inline int pivotRoot(int mount) {
  int error = fchdir(mount);
  // pivot_root(2): with "." twice the old root lies over the new one at /, where it can be detached, and the new one
  // needs no directory to hold it.
  if (error == 0) error = static_cast<int>(call(SYS_pivot_root, word("."), word(".")));
  if (error == 0) error = static_cast<int>(call(SYS_umount2, word("."), MNT_DETACH));
  return error < 0 ? error : chdir("/");
}
inline int openTree(int fd, unsigned flags) {
  return static_cast<int>(call(SYS_open_tree, fd, word(""), flags | AT_EMPTY_PATH | OPEN_TREE_CLOEXEC));
}
/** Of this one mount, not of those below it. */
inline int addMountAttributes(int mount, unsigned attributes) {
  mount_attr change{};
  change.attr_set = attributes;
  return static_cast<int>(call(SYS_mount_setattr, mount, word(""), AT_EMPTY_PATH, word(&change), sizeof change));
}
/** Both by descriptor. */
inline int moveMount(int mount, int target) {
  return static_cast<int>(
      call(SYS_move_mount, mount, word(""), target, word(""), MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}
/** The same, but below what is mounted at the target, which stays to be seen until it is detached. Since Linux 6.5. */
inline int moveMountBeneath(int mount, int target) {
  constexpr unsigned beneath = 0x200;  // MOVE_MOUNT_BENEATH
  return static_cast<int>(call(SYS_move_mount, mount, word(""), target, word(""),
                               MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH | beneath));
}
inline int fsopen(const char* type) { return static_cast<int>(call(SYS_fsopen, word(type), FSOPEN_CLOEXEC)); }
inline int fsconfig(int context, unsigned command, const char* key, const char* value) {
  return static_cast<int>(call(SYS_fsconfig, context, command, word(key), word(value), 0));
}
/**
 * The lower directories of an overlay, the upper one first. By descriptor since Linux 6.13, by one that was opened with
 * O_PATH since 6.15: before, EINVAL or EBADF, and before 6.5 EOPNOTSUPP. Then as one option, which all kernels have:
 * before 6.5 an overlay takes any text, also for the later "lowerdir+", and fails when it is created. In these paths is
 * no ':' or ','.
 */
inline int setLowerDirectories(int context, int upper, int lower) {
  const int error = static_cast<int>(call(SYS_fsconfig, context, FSCONFIG_SET_FD, word("lowerdir+"), 0, upper));
  if (error == 0) return static_cast<int>(call(SYS_fsconfig, context, FSCONFIG_SET_FD, word("lowerdir+"), 0, lower));
  if (error != -EINVAL && error != -EBADF && error != -EOPNOTSUPP) return error;
  Text<64> both;
  both.add(DescriptorPath(upper).get()).add(':').add(DescriptorPath(lower).get());
  return fsconfig(context, FSCONFIG_SET_STRING, "lowerdir", both.get());
}
inline int fsmount(int context, unsigned attributes) {
  return static_cast<int>(call(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes));
}
inline int closeOnExecFrom(unsigned first) {
  return static_cast<int>(call(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC));
}
inline int execve(const char* path, const char* const* argv, const char* const* env) {
  return static_cast<int>(call(SYS_execve, word(path), word(argv), word(env)));
}

// Watching files: fanotify(7), inotify(7).

inline int fanotifyInit(unsigned flags) {
  constexpr unsigned closeOnExec = 1;  // FAN_CLOEXEC
  return static_cast<int>(call(SYS_fanotify_init, flags | closeOnExec, 0));
}
/** Of the kernel's 64 bits for events, each processor here takes one argument. */
inline int fanotifyMark(int fd, unsigned flags, uint64_t events, const char* path) {
  return static_cast<int>(call(SYS_fanotify_mark, fd, flags, word(events), AT_FDCWD, word(path)));
}
inline int inotifyInit(int flags) { return static_cast<int>(call(SYS_inotify_init1, flags | O_CLOEXEC)); }
/** The watch's number. */
inline int inotifyAdd(int fd, const char* path, uint32_t events) {
  return static_cast<int>(call(SYS_inotify_add_watch, fd, word(path), events));
}
/** Links are not followed. The handle is as fanotify tells it. */
inline int nameToHandle(const char* path, struct file_handle* handle) {
  int mount = 0;
  const auto ask = [&](int flags) {
    return static_cast<int>(call(SYS_name_to_handle_at, AT_FDCWD, word(path), word(handle), word(&mount), flags));
  };
  // AT_HANDLE_FID: of file systems too that cannot open by it, such as overlays. Since Linux 6.5.
  const int error = ask(0x200);
  return error == -EINVAL ? ask(0) : error;
}

inline int uname(struct utsname& out) { return static_cast<int>(call(SYS_uname, word(&out))); }
inline uint32_t userId() { return static_cast<uint32_t>(call(SYS_geteuid)); }
inline uint32_t groupId() { return static_cast<uint32_t>(call(SYS_getegid)); }
[[noreturn]] inline void exit(int status) {
  for (;;) call(SYS_exit_group, status);
}

/** Owns a descriptor. */
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept {
    reset(other.fd_);
    other.fd_ = -1;
    return *this;
  }
  ~Descriptor() { reset(-1); }
  void reset(int fd) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }
  int get() const { return fd_; }
  /** What the failed call returned, where this holds a call's return value. */
  int error() const { return fd_ < 0 ? -fd_ : 0; }

 private:
  int fd_ = -1;
};

}  // namespace appc::sys
