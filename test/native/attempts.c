// Tries what a confined program must not be able to do. For each NAME (all without any) a line: the name, and "ok" or
// the errno's name. Each attempt is made in a process of its own.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define UPPER (1UL << 32)

static long mountTmpfs(void) { return mount("none", "/mnt", "tmpfs", 0, NULL); }
static long unmount(void) { return umount2("/tmp", MNT_DETACH); }
static long remount(void) { return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL); }
static long pivotRoot(void) { return syscall(SYS_pivot_root, "/", "/"); }
static long changeRoot(void) { return chroot("/usr"); }
static long unshareUser(void) { return unshare(CLONE_NEWUSER); }
static long unshareMounts(void) { return unshare(CLONE_NEWNS); }
static long unshareUpper(void) { return syscall(SYS_unshare, UPPER | CLONE_NEWUSER); }
static long cloneWith(unsigned long flags) {
  const long child = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  return child;
}
static long cloneUser(void) { return cloneWith(CLONE_NEWUSER); }
static long cloneUserUpper(void) { return cloneWith(UPPER | CLONE_NEWUSER); }
static long cloneNetwork(void) { return cloneWith(CLONE_NEWNET); }
static long clone3(void) {
  struct {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
  } arguments = {.exit_signal = SIGCHLD};
  const long child = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child == 0) _exit(0);
  return child;
}
static long enterNamespace(void) { return setns(open("/proc/self/ns/uts", O_RDONLY), 0); }
static long openTree(void) { return syscall(SYS_open_tree, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */); }
static long openFileSystem(void) { return syscall(SYS_fsopen, "tmpfs", 0); }
static long setMountAttributes(void) {
  const uint64_t attributes[4] = {0, 1 /* MOUNT_ATTR_RDONLY */, 0, 0};
  return syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, attributes, sizeof attributes);
}
static long moveMount(void) { return syscall(SYS_move_mount, AT_FDCWD, "/tmp", AT_FDCWD, "/mnt", 0); }

static long trace(void) { return ptrace(PTRACE_SEIZE, getppid(), NULL, NULL); }
static long readMemory(void) {
  char byte;
  struct iovec here = {&byte, 1};
  struct iovec there = {&byte, 1};
  return process_vm_readv(getppid(), &here, 1, &there, 1, 0);
}
static long bpf(void) {
  struct {
    uint32_t type, keySize, valueSize, entries;
    char rest[96];
  } map = {2, 4, 4, 1, {0}};
  return syscall(SYS_bpf, 0, &map, sizeof map);
}
static long perf(void) {
  char attributes[128] = {1 /* PERF_TYPE_SOFTWARE */, 0, 0, 0, 128};
  return syscall(SYS_perf_event_open, attributes, 0, -1, -1, 0);
}
static long userFaults(void) { return syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */); }
static long ring(void) {
  char parameters[120] = {0};
  return syscall(SYS_io_uring_setup, 1, parameters);
}
static long addKey(void) { return syscall(SYS_add_key, "user", "appc-test", "x", 1UL, -2 /* the process's */); }
static long keyControl(void) { return syscall(SYS_keyctl, 0, -2, 1); }
static long handleOf(void) {
  union {
    struct file_handle handle;
    char bytes[256];
  } name = {.handle = {.handle_bytes = 128}};
  int mount;
  return name_to_handle_at(AT_FDCWD, "/usr", &name.handle, &mount, 0);
}
static long openHandle(void) {
  // Inode 2, generation 0: the root directory of ext4 (the "shocker" of Docker's early days).
  union {
    struct file_handle handle;
    char bytes[32];
  } name = {.handle = {.handle_bytes = 8, .handle_type = 1}};
  name.bytes[sizeof(struct file_handle)] = 2;
  return open_by_handle_at(open("/usr", O_RDONLY), &name.handle, O_RDONLY);
}
static long randomness(void) { return personality(ADDR_NO_RANDOMIZE); }
static long askPersonality(void) { return personality(0xffffffff); }
static long clockSet(void) {
  struct timeval now;
  gettimeofday(&now, NULL);
  return settimeofday(&now, NULL);
}
static long hostName(void) { return sethostname("taken", 5); }
static long accounting(void) { return acct(NULL); }
static long kernelLog(void) { return syscall(SYS_syslog, 10, NULL, 0); }
static long swap(void) { return syscall(SYS_swapoff, "/nonexistent"); }
static long memoryPolicy(void) { return syscall(SYS_set_mempolicy, 0, NULL, 0); }
static long unknownCall(void) { return syscall(0x3ffff); }
static long negativeCall(void) { return syscall(-1); }

#if defined(__x86_64__)
static long answerOf(long result) {
  if (result >= 0 || result < -4095) return result;
  errno = (int)-result;
  return -1;
}
/** getpid of i386, by the gate that 64-bit programs have too. */
static long gate32(void) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
  return answerOf((int)result);
}
/** mount of i386 with arguments that would be refused otherwise than by a filter. */
static long mount32(void) {
  long result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(21), "b"(0), "c"(0), "d"(0), "S"(0), "D"(0)
                   : "memory", "r8", "r9", "r10", "r11");
  return answerOf((int)result);
}
static long callX32(void) { return syscall(0x40000000 + SYS_getpid); }
static long localDescriptors(void) {
  char entries[16];
  return syscall(SYS_modify_ldt, 0, entries, sizeof entries);
}
#endif

static long socketOf(int family, int type) { return socket(family, type, 0); }
static long socketUnix(void) { return socketOf(AF_UNIX, SOCK_STREAM); }
static long socketInternet(void) { return socketOf(AF_INET, SOCK_STREAM); }
static long socketRoute(void) { return socketOf(AF_NETLINK, SOCK_RAW); }
static long socketCrypto(void) { return socketOf(AF_ALG, SOCK_SEQPACKET); }
static long socketVirtual(void) { return socketOf(AF_VSOCK, SOCK_STREAM); }
static long socketPacket(void) { return socketOf(AF_PACKET, SOCK_RAW); }
static long socketCryptoUpper(void) { return syscall(SYS_socket, UPPER | AF_ALG, SOCK_SEQPACKET, 0); }

static long device(void) {
  const long made = mknod("/tmp/appc-device", S_IFCHR | 0600, makedev(1, 1));
  if (made == 0) unlink("/tmp/appc-device");
  return made;
}
static long memoryDevice(void) { return open("/dev/mem", O_RDONLY); }
static long setting(void) { return open("/proc/sys/kernel/hostname", O_WRONLY); }
static long sysRequest(void) { return open("/proc/sysrq-trigger", O_WRONLY); }
static long hotplug(void) { return open("/sys/kernel/uevent_seqnum", O_WRONLY) | open("/sys/power/state", O_WRONLY); }
static long groups(void) { return open("/sys/fs/cgroup/cgroup.procs", O_WRONLY); }
static long raiseCapability(void) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{1 << CAP_CHOWN, 1 << CAP_CHOWN, 0}, {0, 0, 0}};
  return syscall(SYS_capset, &header, data);
}

struct Attempt {
  const char* name;
  long (*make)(void);
};
static const struct Attempt attempts[] = {
    {"mount", mountTmpfs},
    {"umount", unmount},
    {"remount", remount},
    {"pivot_root", pivotRoot},
    {"chroot", changeRoot},
    {"unshare-user", unshareUser},
    {"unshare-mounts", unshareMounts},
    {"unshare-user-upper", unshareUpper},
    {"clone-user", cloneUser},
    {"clone-user-upper", cloneUserUpper},
    {"clone-network", cloneNetwork},
    {"clone3", clone3},
    {"setns", enterNamespace},
    {"open_tree", openTree},
    {"fsopen", openFileSystem},
    {"mount_setattr", setMountAttributes},
    {"move_mount", moveMount},
    {"ptrace", trace},
    {"process_vm_readv", readMemory},
    {"bpf", bpf},
    {"perf_event_open", perf},
    {"userfaultfd", userFaults},
    {"io_uring_setup", ring},
    {"add_key", addKey},
    {"keyctl", keyControl},
    {"name_to_handle_at", handleOf},
    {"open_by_handle_at", openHandle},
    {"personality", randomness},
    {"personality-asked", askPersonality},
    {"settimeofday", clockSet},
    {"sethostname", hostName},
    {"acct", accounting},
    {"syslog", kernelLog},
    {"swapoff", swap},
    {"set_mempolicy", memoryPolicy},
    {"call-unknown", unknownCall},
    {"call-negative", negativeCall},
#if defined(__x86_64__)
    {"i386-getpid", gate32},
    {"i386-mount", mount32},
    {"x32-getpid", callX32},
    {"modify_ldt", localDescriptors},
#endif
    {"socket-unix", socketUnix},
    {"socket-inet", socketInternet},
    {"socket-netlink", socketRoute},
    {"socket-alg", socketCrypto},
    {"socket-alg-upper", socketCryptoUpper},
    {"socket-vsock", socketVirtual},
    {"socket-packet", socketPacket},
    {"mknod", device},
    {"dev-mem", memoryDevice},
    {"proc-sys", setting},
    {"proc-sysrq", sysRequest},
    {"sys-power", hotplug},
    {"sys-cgroup", groups},
    {"capset", raiseCapability},
};

static void try(const struct Attempt* attempt) {
  const pid_t child = fork();
  if (child == 0) {
    errno = 0;
    const long result = attempt->make();
    _exit(result >= 0 ? 0 : errno);
  }
  int status = 0;
  waitpid(child, &status, 0);
  const int error = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  printf("%s %s\n", attempt->name, error == 0 ? "ok" : error < 0 ? "killed" : strerrorname_np(error));
}

int main(int argc, char** argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (size_t i = 0; i < sizeof attempts / sizeof *attempts; ++i) {
    int wanted = argc == 1;
    for (int word = 1; word < argc; ++word) wanted |= strcmp(argv[word], attempts[i].name) == 0;
    if (wanted) try(&attempts[i]);
  }
  return 0;
}
