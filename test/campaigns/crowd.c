// Launches COMMAND… COUNT times, each of which must print REPORT and end with STATUS.
//
//     crowd row COUNT STATUS REPORT COMMAND…    one after the other
//     crowd once COUNT STATUS REPORT COMMAND…   all at the same moment, and all there at the same time
//
// Prints milliseconds, with `once` until all have printed theirs, and the number of mount namespaces then. Ends with 1 when a launch
// failed, and tells the first that did.
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct launch {
  pid_t pid;
  int output;
  size_t size;
  char text[4096];
};

static const char* report;
static int expected;
static int failures;

static void give_up(const char* what) {
  perror(what);
  exit(2);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

// Waits with executing the program until nobody can write to the pipe `gate` any more; null for none.
static void begin(struct launch* launch, char** command, const int* gate, int input) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) give_up("pipe");
  launch->pid = fork();
  if (launch->pid < 0) give_up("fork");
  if (launch->pid == 0) {
    char byte;
    // Errors go the same way: they are then told as what was not expected.
    if (dup2(input, 0) < 0 || dup2(ends[1], 1) < 0 || dup2(ends[1], 2) < 0) _exit(124);
    if (gate != NULL && (close(gate[1]) < 0 || read(gate[0], &byte, 1) != 0)) _exit(124);
    execv(command[0], command);
    _exit(124);
  }
  close(ends[1]);
  launch->output = ends[0];
  launch->size = 0;
}

// Until the whole report is there, or nothing more comes.
static void listen_to(struct launch* launch) {
  while (launch->size < strlen(report)) {
    const ssize_t count = read(launch->output, launch->text + launch->size, sizeof launch->text - 1 - launch->size);
    if (count <= 0) break;
    launch->size += (size_t)count;
  }
  launch->text[launch->size] = '\0';
}

static void finish(struct launch* launch) {
  int status;
  if (waitpid(launch->pid, &status, 0) < 0) give_up("waitpid");
  const bool right = WIFEXITED(status) && WEXITSTATUS(status) == expected && strcmp(launch->text, report) == 0;
  if (!right && failures++ == 0) printf("failed with wait status %#x:\n%s\n", status, launch->text);
  close(launch->output);
}

static void in_a_row(long count, char** command) {
  static struct launch launch;
  const int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const double start = now();
  for (long i = 0; i < count; ++i) {
    begin(&launch, command, NULL, input);
    listen_to(&launch);
    finish(&launch);
  }
  printf("%.0f ms\n", now() - start);
}

static int compare(const void* a, const void* b) { return strcmp(a, b); }

static long count_namespaces(const struct launch* launches, long count) {
  char(*names)[64] = calloc((size_t)count, sizeof *names);
  if (names == NULL) give_up("calloc");
  for (long i = 0; i < count; ++i) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/mnt", launches[i].pid);
    // A launch that has failed has none, and is told elsewhere.
    if (readlink(path, names[i], sizeof *names - 1) < 0) names[i][0] = '\0';
  }
  qsort(names, (size_t)count, sizeof *names, compare);
  long distinct = 0;
  for (long i = 0; i < count; ++i) {
    if (names[i][0] != '\0' && (i == 0 || strcmp(names[i], names[i - 1]) != 0)) ++distinct;
  }
  free(names);
  return distinct;
}

static void at_once(long count, char** command) {
  struct launch* launches = calloc((size_t)count, sizeof *launches);
  int gate[2];
  int input[2];
  if (launches == NULL || pipe2(gate, O_CLOEXEC) < 0 || pipe2(input, O_CLOEXEC) < 0) give_up("pipe");
  for (long i = 0; i < count; ++i) begin(&launches[i], command, gate, input[0]);
  const double start = now();
  close(gate[1]);
  for (long i = 0; i < count; ++i) listen_to(&launches[i]);
  printf("%.1f ms, %ld namespaces\n", now() - start, count_namespaces(launches, count));
  close(input[1]);
  for (long i = 0; i < count; ++i) finish(&launches[i]);
  free(launches);
}

int main(int argc, char** argv) {
  if (argc < 6) return 2;
  const long count = atol(argv[2]);
  expected = atoi(argv[3]);
  report = argv[4];
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) give_up("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) give_up("setrlimit");
  if (strcmp(argv[1], "row") == 0) {
    in_a_row(count, argv + 5);
  } else {
    at_once(count, argv + 5);
  }
  if (failures > 0) printf("%d of %ld failed\n", failures, count);
  return failures > 0;
}
