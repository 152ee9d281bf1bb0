// Which system calls a confined program is refused: those that reach past a container into the kernel, or have been the
// way out of one. What the kernel of tomorrow adds is refused too, as not there (ENOSYS), which programs can live with.
#include "seccomp.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/socket.h>

#include "process.h"

namespace appc {
namespace {

#if defined(__x86_64__)
constexpr uint32_t architecture = AUDIT_ARCH_X86_64;
#else
constexpr uint32_t architecture = AUDIT_ARCH_AARCH64;
#endif

/** The x32 calls of an x86-64 kernel have the same architecture and this bit. */
constexpr uint32_t x32 = 0x40000000;

/** removexattrat (Linux 6.13). Those after it are not known here. */
constexpr uint32_t newestCall = 466;

/** Not permitted (EPERM). */
constexpr uint32_t refused[] = {
    // Mounts and namespaces: what lies over the host stays there.
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_mount_setattr,
    // The kernel itself.
    SYS_reboot,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_lookup_dcookie,
    SYS_nfsservctl,
    SYS_syslog,
    SYS_acct,
    SYS_swapon,
    SYS_swapoff,
    SYS_quotactl,
    SYS_quotactl_fd,
    // The machine's clock and name.
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_clock_adjtime,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_vhangup,
    // Keys are not divided by namespaces.
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    // Files by handle pass by all mounts (CVE-2014-3519 of OpenVZ); watching all that happens on a file system.
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_fanotify_init,
    // Other processes.
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kcmp,
    SYS_pidfd_getfd,
    // Where memory lies on the machine.
    SYS_move_pages,
    SYS_migrate_pages,
    SYS_mbind,
    SYS_set_mempolicy,
    SYS_get_mempolicy,
#if defined(__x86_64__)
    SYS_iopl,
    SYS_ioperm,
    SYS_modify_ldt,
    SYS_uselib,
    SYS_ustat,
    SYS_sysfs,
    SYS__sysctl,
    SYS_create_module,
    SYS_get_kernel_syms,
    SYS_query_module,
#endif
};

/** Not there (ENOSYS), for which programs have another way. */
constexpr uint32_t absent[] = {
    // Its flags lie in memory, where a filter cannot look; libc falls back to clone.
    SYS_clone3,
    // Its operations pass by every filter.
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
};

constexpr uint32_t namespaceFlags =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
static_assert(namespaceFlags == 0x7e020000);

/** Into the terminal's own input: what the shell reads next (CVE-2017-5226, CVE-2023-28100). */
constexpr uint32_t terminalRequests[] = {TIOCSTI, TIOCLINUX};

constexpr uint32_t families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

/** PER_LINUX, also with UNAME26 or as PER_LINUX32; -1 asks. */
constexpr uint32_t personalities[] = {0, 0x20000, 0x8, 0x20008, 0xffffffff};

constexpr uint32_t answer(int error) { return SECCOMP_RET_ERRNO | static_cast<uint32_t>(error); }

/**
 * The program for the kernel's filter machine. Jumps lead forward, by a count of instructions: each rule jumps over its
 * own answer alone.
 */
class Filter {
 public:
  void load(uint32_t offset) { add({BPF_LD | BPF_W | BPF_ABS, 0, 0, offset}); }
  void loadNumber() { load(offsetof(struct seccomp_data, nr)); }
  /**
   * The lower half of an argument, since the kernel looks at no more of these; with the upper half compared too, a
   * program that sets it passes by (CVE-2019-10063 of Flatpak). Little-endian: the lower half comes first.
   */
  void loadArgument(unsigned index) {
    load(static_cast<uint32_t>(offsetof(struct seccomp_data, args) + index * sizeof(uint64_t)));
  }
  void answerIf(uint16_t comparison, uint32_t value, uint32_t result) {
    add({static_cast<uint16_t>(BPF_JMP | comparison | BPF_K), 0, 1, value});
    give(result);
  }
  void answerUnless(uint16_t comparison, uint32_t value, uint32_t result) {
    add({static_cast<uint16_t>(BPF_JMP | comparison | BPF_K), 1, 0, value});
    give(result);
  }
  /** The next `count` instructions are for this call alone. */
  void skipUnlessCall(uint32_t number, uint8_t count) { add({BPF_JMP | BPF_JEQ | BPF_K, 0, count, number}); }
  void skipIf(uint32_t value, uint8_t count) { add({BPF_JMP | BPF_JEQ | BPF_K, count, 0, value}); }
  void give(uint32_t result) { add({BPF_RET | BPF_K, 0, 0, result}); }

  struct sock_fprog program() {
    return {length_, instructions_};
  }
  bool fits() const { return fits_; }

 private:
  void add(struct sock_filter instruction) {
    fits_ = fits_ && length_ < sizeof instructions_ / sizeof instructions_[0];
    if (fits_) instructions_[length_++] = instruction;
  }

  struct sock_filter instructions_[256];
  uint16_t length_ = 0;
  bool fits_ = true;
};

/** Programs of the 32-bit architecture would need a list of their own; there is none, so nothing of theirs passes. */
void refuseForeign(Filter& filter) {
  filter.load(offsetof(struct seccomp_data, arch));
  filter.answerUnless(BPF_JEQ, architecture, answer(ENOSYS));
  filter.loadNumber();
  filter.answerIf(BPF_JGE, x32, answer(ENOSYS));
  filter.answerIf(BPF_JGT, newestCall, answer(ENOSYS));
}

template <size_t Count>
void passOnly(Filter& filter, uint32_t call, const uint32_t (&values)[Count], int error) {
  filter.skipUnlessCall(call, Count + 3);
  filter.loadArgument(0);
  for (size_t i = 0; i < Count; ++i) filter.skipIf(values[i], static_cast<uint8_t>(Count - i));
  filter.give(answer(error));
  filter.give(SECCOMP_RET_ALLOW);
}

void refuseByArgument(Filter& filter) {
  filter.skipUnlessCall(SYS_clone, 4);
  filter.loadArgument(0);
  filter.answerIf(BPF_JSET, namespaceFlags, answer(EPERM));
  filter.give(SECCOMP_RET_ALLOW);
  filter.skipUnlessCall(SYS_ioctl, 6);
  filter.loadArgument(1);
  for (const uint32_t request : terminalRequests) filter.answerIf(BPF_JEQ, request, answer(EPERM));
  filter.give(SECCOMP_RET_ALLOW);
  passOnly(filter, SYS_socket, families, EAFNOSUPPORT);
  passOnly(filter, SYS_personality, personalities, EPERM);
}

}  // namespace

Result filterSystemCalls() {
  static Filter filter;
  refuseForeign(filter);
  for (const uint32_t call : refused) filter.answerIf(BPF_JEQ, call, answer(EPERM));
  for (const uint32_t call : absent) filter.answerIf(BPF_JEQ, call, answer(ENOSYS));
  refuseByArgument(filter);
  filter.give(SECCOMP_RET_ALLOW);
  if (!filter.fits()) return failure(Step::filterCalls, nullptr, E2BIG);
  struct sock_fprog program = filter.program();
  const int error = sys::control(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, reinterpret_cast<unsigned long>(&program));
  return error < 0 ? failure(Step::filterCalls, nullptr, error) : success();
}

}  // namespace appc
