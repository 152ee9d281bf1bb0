// What the campaigns launch. It tells what each PATH holds, which descriptors it has and what it may do, waits until
// its input ends, and ends with a status that nothing else ends with.
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

static void tellContent(const char* path) {
  char content[64];
  const int fd = open(path, O_RDONLY);
  const ssize_t size = fd < 0 ? -1 : read(fd, content, sizeof content);
  if (size < 0) {
    printf("%s: %s\n", path, strerrorname_np(errno));
  } else {
    printf("%s: %.*s\n", path, (int)size, content);
  }
  if (fd >= 0) close(fd);
}

static void tellDescriptors(void) {
  printf("descriptors:");
  for (int fd = 0; fd < 1024; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) printf(" %d", fd);
  }
  printf("\n");
}

// The bounding set aside: a user namespace begins with a full one, of what can be had in it.
static void tellRights(void) {
  static const char* const wanted[] = {"Uid:", "NoNewPrivs:", "Seccomp:"};
  static const char* const sets[] = {"CapInh:", "CapPrm:", "CapEff:", "CapAmb:"};
  unsigned long long capabilities = 0;
  char line[256];
  FILE* status = fopen("/proc/self/status", "re");
  while (status != NULL && fgets(line, sizeof line, status) != NULL) {
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; ++i) {
      if (strncmp(line, wanted[i], strlen(wanted[i])) == 0) fputs(line, stdout);
    }
    for (size_t i = 0; i < sizeof sets / sizeof *sets; ++i) {
      if (strncmp(line, sets[i], strlen(sets[i])) == 0) capabilities |= strtoull(line + strlen(sets[i]), NULL, 16);
    }
  }
  if (status == NULL) {
    printf("no /proc\n");
  } else {
    printf("capabilities: %s\n", capabilities == 0 ? "none" : "some");
    fclose(status);
  }
}

// What each part of a confinement keeps from it. Landlock is what forbids to signal init.
static void tellConfinement(void) {
  char name[64] = "";
  struct statvfs root;
  printf("confined: host %s", statvfs("/", &root) == 0 && (root.f_flag & ST_RDONLY) != 0 ? "read-only" : "writable");
  printf(", signal init %s", getppid() == 1 && kill(1, 0) == 0 ? "can" : strerrorname_np(errno));
  printf(", bounding set %s", prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) == 0 ? "empty" : "full");
  gethostname(name, sizeof name - 1);
  printf(", called %s, parent %d, session %d", name, (int)getppid(), (int)getsid(0));
  printf(", network %s", if_nametoindex("lo") == 1 && if_nametoindex("eth0") == 0 ? "its own" : "shared");
  printf(", home %s, run %s\n", access("/home/.appc-seen", F_OK) == 0 ? "seen" : "private",
         access("/run/user", F_OK) == 0 ? "private" : "seen");
}

int main(int argc, char** argv) {
  tellDescriptors();
  tellRights();
  int first = 1;
  if (argc > 1 && strcmp(argv[1], "--confined") == 0) {
    tellConfinement();
    ++first;
  }
  for (int i = first; i < argc; ++i) tellContent(argv[i]);
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) == 1) continue;
  return 42;
}
