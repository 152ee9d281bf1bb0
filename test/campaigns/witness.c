// What the campaigns launch. It tells which descriptors it has, what it may do, and what each PATH holds, waits until
// its input ends, and ends with a status that nothing else ends with.
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

// OUTSIDE: those of whoever prepared the launch, as /proc/self/ns shows them.
static void tell_namespaces(void) {
  static const char* const kinds[] = {"mnt", "pid", "ipc", "uts", "net"};
  const char* outside = getenv("OUTSIDE");
  printf("namespaces:");
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
    char path[64];
    char name[64] = "";
    snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
    if (readlink(path, name, sizeof name - 1) < 0) snprintf(name, sizeof name, "%s", strerrorname_np(errno));
    if (outside == NULL || strstr(outside, name) == NULL) printf(" %s", kinds[i]);
  }
  printf("\n");
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
  tell_namespaces();
  tell_landlock();
  printf("/opt can be written: %s\n", access("/opt", W_OK) == 0 ? "yes" : strerrorname_np(errno));
  for (int i = 1; i < argc; ++i) tell_content(argv[i]);
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) == 1) continue;
  return 42;
}
