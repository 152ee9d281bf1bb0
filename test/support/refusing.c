// Runs a command under a kernel that refuses some system calls:
//
//   refusing CALL[@N=VALUE|@N&BITS]...:ERRNO ... -- COMMAND [ARG...]
//
// `fsopen:ENODEV`; `fsconfig@1=6:EINVAL`, where its argument 1 (they are counted from 0) is 6;
// `unshare@0&0x10000000:EPERM`, where it has all of these bits. Of an argument, the lower 32 bits count. The calls fail
// without being made, in the command and in all that it starts. What an argument points to a seccomp filter cannot see.
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

struct named {
  const char *name;
  int value;
};

#define CALL(name) \
  { #name, SYS_##name }
static const struct named calls[] = {
    CALL(chdir),
    CALL(chroot),
    CALL(clone),
    CALL(clone3),
    CALL(close_range),
    CALL(execve),
    CALL(fanotify_init),
    CALL(fanotify_mark),
    CALL(fchdir),
    CALL(fchmodat),
    CALL(fchownat),
    CALL(flock),
    CALL(fsconfig),
    CALL(fsmount),
    CALL(fsopen),
    CALL(fstatfs),
    CALL(getcwd),
    CALL(getdents64),
    CALL(inotify_add_watch),
    CALL(inotify_init1),
    CALL(kill),
    CALL(mkdirat),
    CALL(mknodat),
    CALL(mmap),
    CALL(mount),
    CALL(move_mount),
    CALL(name_to_handle_at),
    CALL(openat),
    CALL(openat2),
    CALL(open_tree),
    CALL(pidfd_open),
    CALL(pipe2),
    CALL(pivot_root),
    CALL(prctl),
    CALL(prlimit64),
    CALL(read),
    CALL(readlinkat),
    CALL(rmdir),
    CALL(seccomp),
    CALL(setns),
    CALL(setsid),
    CALL(statx),
    CALL(symlinkat),
    CALL(syncfs),
    CALL(umount2),
    CALL(uname),
    CALL(unshare),
    CALL(wait4),
    CALL(write),
    CALL(mount_setattr),
    CALL(landlock_create_ruleset),
    CALL(landlock_add_rule),
    CALL(landlock_restrict_self),
};

#define ERROR(name) \
  { #name, name }
static const struct named errors[] = {
    ERROR(EPERM),  ERROR(ENOENT), ERROR(EINTR),  ERROR(EIO),    ERROR(EBADF),  ERROR(EAGAIN),     ERROR(ENOMEM),
    ERROR(EACCES), ERROR(EBUSY),  ERROR(EEXIST), ERROR(ENODEV), ERROR(EINVAL), ERROR(ENFILE),     ERROR(EMFILE),
    ERROR(ENOSPC), ERROR(EROFS),  ERROR(ENOSYS), ERROR(ELOOP),  ERROR(EUSERS), ERROR(EOPNOTSUPP),
};

static struct sock_filter filter[4096];
static unsigned length;

static void fail(const char *what, const char *detail) {
  fprintf(stderr, "refusing: %s: %s\n", what, detail);
  exit(99);
}

static void add(unsigned short code, unsigned value, unsigned char yes, unsigned char no) {
  if (length == sizeof filter / sizeof *filter) fail("too much to refuse", "");
  filter[length++] = (struct sock_filter){code, yes, no, value};
}

static int find(const struct named *table, size_t count, const char *name) {
  for (size_t i = 0; i < count; ++i)
    if (strcmp(table[i].name, name) == 0) return table[i].value;
  fail("not known here", name);
  return 0;
}
#define FIND(table, name) find(table, sizeof table / sizeof *table, name)

static void addRule(char *rule) {
  char *error = strrchr(rule, ':');
  if (error == NULL) fail("without an error", rule);
  *error++ = '\0';
  const char *call = strtok(rule, "@");
  // Jumps go over what follows of this rule: two instructions for each condition yet to come, and the return.
  char *conditions[8];
  unsigned count = 0;
  for (char *text; (text = strtok(NULL, "@")) != NULL;) {
    if (count == 8) fail("too many conditions", call);
    conditions[count++] = text;
  }
  add(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
  unsigned remaining = 1;
  for (unsigned i = 0; i < count; ++i) remaining += strchr(conditions[i], '&') == NULL ? 2 : 3;
  // By its number, one that these headers may not know yet.
  const int number = *call >= '0' && *call <= '9' ? atoi(call) : FIND(calls, call);
  add(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, (unsigned char)remaining);
  for (unsigned i = 0; i < count; ++i) {
    char *sign;
    const unsigned long argument = strtoul(conditions[i], &sign, 10);
    char *end;
    const unsigned value = (unsigned)strtoul(sign + 1, &end, 0);
    if (argument > 5 || (*sign != '=' && *sign != '&') || *end != '\0') fail("no condition", conditions[i]);
    add(BPF_LD | BPF_W | BPF_ABS, (unsigned)(offsetof(struct seccomp_data, args) + 8 * argument), 0, 0);
    if (*sign == '&') add(BPF_ALU | BPF_AND | BPF_K, value, 0, 0);
    remaining -= *sign == '&' ? 3 : 2;
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, (unsigned char)remaining);
  }
  add(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)FIND(errors, error), 0, 0);
}

int main(int argc, char **argv) {
  (void)argc;
  add(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
  add(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
  add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
  char **argument = argv + 1;
  while (*argument != NULL && strcmp(*argument, "--") != 0) addRule(*argument++);
  if (*argument == NULL || argument[1] == NULL) fail("no command", "after --");
  add(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
  const struct sock_fprog program = {(unsigned short)length, filter};
  // Who may not set a filter without giving up setuid programs gives them up.
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0 &&
      (errno != EACCES || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
       syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0))
    fail("seccomp", strerror(errno));
  execvp(argument[1], argument + 1);
  fail(argument[1], strerror(errno));
}
