import t from 'tap'
import { Sandbox, users } from './fixture.js'
import { Inside } from './inside.js'

/** What the filter answers, whoever asks and whatever he may do besides. */
const REFUSED = {
  mount: 'EPERM',
  umount: 'EPERM',
  remount: 'EPERM',
  pivot_root: 'EPERM',
  chroot: 'EPERM',
  'unshare-user': 'EPERM',
  'unshare-mounts': 'EPERM',
  'unshare-user-upper': 'EPERM',
  'clone-user': 'EPERM',
  'clone-user-upper': 'EPERM',
  'clone-network': 'EPERM',
  clone3: 'ENOSYS',
  setns: 'EPERM',
  open_tree: 'EPERM',
  fsopen: 'EPERM',
  mount_setattr: 'EPERM',
  move_mount: 'EPERM',
  ptrace: 'EPERM',
  process_vm_readv: 'EPERM',
  bpf: 'EPERM',
  perf_event_open: 'EPERM',
  userfaultfd: 'EPERM',
  io_uring_setup: 'ENOSYS',
  add_key: 'EPERM',
  keyctl: 'EPERM',
  name_to_handle_at: 'EPERM',
  open_by_handle_at: 'EPERM',
  personality: 'EPERM',
  settimeofday: 'EPERM',
  sethostname: 'EPERM',
  acct: 'EPERM',
  syslog: 'EPERM',
  swapoff: 'EPERM',
  set_mempolicy: 'EPERM',
  'call-unknown': 'ENOSYS',
  'socket-alg': 'EAFNOSUPPORT',
  'socket-alg-upper': 'EAFNOSUPPORT',
  'socket-vsock': 'EAFNOSUPPORT',
  'socket-packet': 'EAFNOSUPPORT',
  ...(process.arch === 'x64' ? { 'i386-getpid': 'ENOSYS', 'i386-mount': 'ENOSYS', 'x32-getpid': 'ENOSYS' } : {}),
  ...(process.arch === 'x64' ? { modify_ldt: 'EPERM' } : {}),
}

const PASSED = { 'personality-asked': 'ok', 'socket-unix': 'ok', 'socket-inet': 'ok', 'socket-netlink': 'ok' }

/** Those of the refused that any user may make by himself: without the filter they succeed. */
const FREE = ['unshare-user', 'clone-user', 'clone-user-upper', 'ptrace', 'process_vm_readv', 'add_key', 'keyctl']
const FREE_TOO = ['name_to_handle_at', 'personality', 'clone3']

/** What programs of every day do: threads, children in each of the ways of libc, memory that they share, timers. */
const EVERYDAY = `
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>
extern char** environ;
static void* half(void* given) { *(int*)given *= 2; return given; }
static int run(void* given) { return *(int*)given; }
#define MUST(what) do { if (!(what)) { perror(#what); return 1; } } while (0)
int main(void) {
  int value = 21, status;
  pthread_t thread;
  MUST(pthread_create(&thread, NULL, half, &value) == 0 && pthread_join(thread, NULL) == 0 && value == 42);
  pid_t child = fork();
  if (child == 0) _exit(3);
  MUST(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3);
  child = vfork();
  if (child == 0) _exit(4);
  MUST(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 4);
  char* words[] = {"true", NULL};
  MUST(posix_spawnp(&child, "true", NULL, NULL, words, environ) == 0);
  MUST(waitpid(child, &status, 0) == child && status == 0);
  static char stack[65536];
  child = clone(run, stack + sizeof stack, SIGCHLD, &value);
  MUST(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 42);
  MUST(system("exit 7") >> 8 == 7);
  const int memory = memfd_create("x", MFD_CLOEXEC);
  MUST(ftruncate(memory, 4096) == 0 && mmap(NULL, 4096, PROT_READ, MAP_SHARED, memory, 0) != MAP_FAILED);
  MUST(epoll_create1(0) >= 0 && eventfd(0, 0) >= 0 && inotify_init1(0) >= 0);
  MUST(timerfd_create(CLOCK_MONOTONIC, 0) >= 0 && getrandom(&value, sizeof value, 0) == sizeof value);
  MUST(prctl(PR_SET_NAME, "everyday") == 0 && sched_yield() == 0);
  cpu_set_t processors;
  MUST(sched_getaffinity(0, sizeof processors, &processors) == 0);
  puts("all");
  return 0;
}`

for (const [who, user] of users) {
  t.test(`as ${who}`, async t => {
    const sandbox = new Sandbox(user)
    t.teardown(() => sandbox.remove())
    const inside = new Inside(sandbox)
    inside.compile('everyday', EVERYDAY, '-pthread')

    t.test('the filter alone refuses what leads out, whatever the program may do besides', async t => {
      t.match(inside.attempt(['--seccomp']), { ...REFUSED, ...PASSED })
    })

    t.test('without it these are not refused', async t => {
      const names = [...FREE, ...FREE_TOO]
      t.same(inside.attempt([], ...names), Object.fromEntries(names.map(name => [name, 'ok'])))
      if (process.arch === 'x64') t.equal(inside.attempt([], 'i386-getpid')['i386-getpid'], 'ok')
    })

    t.test('--sandbox refuses all of it, and with --no-seccomp all that leads to the mounts', async t => {
      t.match(inside.attempt(['--sandbox']), { ...REFUSED, ...PASSED })
      const { mount, umount, remount, setns, open_tree, fsopen, move_mount, mount_setattr, pivot_root } = REFUSED
      const mounts = { mount, umount, remount, setns, open_tree, fsopen, move_mount, mount_setattr, pivot_root }
      t.match(inside.attempt(['--sandbox', '--no-seccomp']), { ...mounts, ptrace: 'ok' })
    })

    t.test('it holds for children, and cannot be taken off', async t => {
      const { stdout } = inside.run(['--seccomp'], 'sh -c "$1 unshare-user; grep ^Seccomp: /proc/self/status"', [
        `${inside.directory}/attempts`,
      ])
      t.equal(stdout, 'unshare-user EPERM\nSeccomp:\t2\n')
    })

    for (const options of [['--seccomp'], ['--sandbox'], []]) {
      t.test(`programs of every day do not mind: ${options.join(' ') || 'without a confinement'}`, async t => {
        const ran = inside.run(options, '"$1"', [`${inside.directory}/everyday`])
        t.match(ran, { status: 0, stdout: 'all\n', stderr: '' })
      })
    }
  })
}
