// What the campaigns launch. It tells which descriptors it has, what it may do, how it lives, and what each PATH holds,
// waits until its input ends, and ends with a status that nothing else ends with.
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

static void tell_descriptors(void) {
  printf("descriptors:");
  for (int fd = 0; fd < 1024; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) printf(" %d", fd);
  }
  printf("\n");
}

static const char* some(unsigned long long bits) { return bits == 0 ? "none" : "some"; }

static void tell_rights(void) {
  FILE* status = fopen("/proc/self/status", "re");
  unsigned long long capabilities = 0;
  unsigned long long bounding = 0;
  unsigned long long bits;
  int number;
  char line[256];
  if (status == NULL) {
    printf("no /proc\n");
    return;
  }
  while (fgets(line, sizeof line, status) != NULL) {
    if (sscanf(line, "Uid: %d", &number) == 1) printf("uid: %d\n", number);
    if (sscanf(line, "NoNewPrivs: %d", &number) == 1) printf("no new privileges: %d\n", number);
    if (sscanf(line, "Seccomp: %d", &number) == 1) printf("seccomp: %d\n", number);
    if (sscanf(line, "CapBnd: %llx", &bits) == 1) {
      bounding = bits;
    } else if (sscanf(line, "Cap%*3c: %llx", &bits) == 1) {
      capabilities |= bits;
    }
  }
  fclose(status);
  printf("capabilities: %s\nbounding: %s\n", some(capabilities), some(bounding));
}

// OUTSIDE has the namespaces as /proc/self/ns shows them, and directories as PATH=DEVICE:INODE, all between spaces.
static int is_outside(const char* what) {
  char word[128];
  snprintf(word, sizeof word, " %s ", what);
  const char* outside = getenv("OUTSIDE");
  return outside != NULL && strstr(outside, word) != NULL;
}

static void tell_place(void) {
  static const char* const kinds[] = {"mnt", "pid", "ipc", "uts", "net"};
  static const char* const directories[] = {"/tmp", "/var/tmp", "/home", "/root", "/run", "/dev"};
  printf("own namespaces:");
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
    char path[64];
    char name[64] = "";
    snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
    if (readlink(path, name, sizeof name - 1) < 0) snprintf(name, sizeof name, "%s", strerrorname_np(errno));
    if (!is_outside(name)) printf(" %s", kinds[i]);
  }
  printf("\nown directories:");
  for (size_t i = 0; i < sizeof directories / sizeof *directories; ++i) {
    struct stat status;
    char word[64];
    if (stat(directories[i], &status) < 0) continue;
    snprintf(word, sizeof word, "%s=%lu:%lu", directories[i], status.st_dev, status.st_ino);
    if (!is_outside(word)) printf(" %s", directories[i]);
  }
  struct statvfs root;
  char name[65] = "";
  gethostname(name, sizeof name - 1);
  printf("\nhost: %s, %s\n", name,
         statvfs("/", &root) == 0 && (root.f_flag & ST_RDONLY) != 0 ? "read-only" : "writable");
  printf("parent: %s, %s\n", getppid() == 1 ? "process 1" : "another",
         getsid(0) == getppid() ? "session" : "no session");
}

// Landlock shows in what is refused alone: since its sixth version, signals to processes that it does not restrict.
static void tell_landlock(void) {
  const long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version >= 6) printf("can signal its parent: %s\n", kill(getppid(), 0) == 0 ? "yes" : "no");
}

static void tell_content(const char* path) {
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

int main(int argc, char** argv) {
  tell_descriptors();
  tell_rights();
  tell_place();
  tell_landlock();
  for (int i = 1; i < argc; ++i) tell_content(argv[i]);
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) == 1) continue;
  return 42;
}
