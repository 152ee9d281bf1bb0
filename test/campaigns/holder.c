// Holds a view as a program of a container does: overlays of these layers, with the source that a launch gives them, in a mount namespace
// of its own. Says "ready", and ends when its input does. With HOLD=shut it has changed its root directory to "below" in the first target, with
// HOLD=apart to a directory that no view has, with HOLD=thread its first thread has ended.
//
//     holder SOURCE LAYER TARGET [LAYER TARGET]...
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void put(const char *path, const char *text) {
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0 || write(file, text, strlen(text)) < 0) fail(path);
  close(file);
}

static void becomeRootInside(void) {
  char map[64];
  const unsigned uid = getuid(), gid = getgid();
  if (unshare(CLONE_NEWUSER) != 0) fail("unshare");
  snprintf(map, sizeof map, "%u %u 1", uid, uid);
  put("/proc/self/uid_map", map);
  put("/proc/self/setgroups", "deny");
  snprintf(map, sizeof map, "%u %u 1", gid, gid);
  put("/proc/self/gid_map", map);
}

static void *wait(void *unused) {
  char c;
  // When this is told the first thread may still be ending.
  if (write(1, "ready\n", 6) != 6) exit(1);
  while (read(0, &c, 1) > 0) continue;
  exit(0);
  return unused;
}

int main(int argc, char **argv) {
  if (argc < 4 || argc % 2 != 0) return 2;
  if (getuid() != 0) becomeRootInside();
  if (unshare(CLONE_NEWNS) != 0) fail("unshare");
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) fail("private");
  for (int i = 2; i < argc; i += 2) {
    char options[512];
    snprintf(options, sizeof options, "userxattr,lowerdir=%s:%s", argv[i], argv[i + 1]);
    if (mount(argv[1], argv[i + 1], "overlay", MS_RDONLY, options) != 0) fail(argv[i]);
  }
  const char *how = getenv("HOLD") ? getenv("HOLD") : "";
  if (!strcmp(how, "shut") && (chdir(argv[3]) != 0 || chroot("below") != 0 || chdir("/") != 0)) fail("chroot");
  if (!strcmp(how, "apart") && (chroot("/etc") != 0 || chdir("/") != 0)) fail("chroot");
  if (!strcmp(how, "thread")) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait, NULL) != 0) fail("thread");
    pthread_exit(NULL);
  }
  wait(NULL);
}
