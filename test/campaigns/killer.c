// Starts COMMAND…, kills it (nobody else) NANOSECONDS later and waits for it:
//
//     killer NANOSECONDS COMMAND…
//
// Its standard input does not end before. Prints how it ended and what it had printed by then.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void give_up(const char* what) {
  perror(what);
  exit(2);
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const long delay = atol(argv[1]);
  int input[2];
  int output[2];
  if (pipe2(input, O_CLOEXEC) < 0 || pipe2(output, O_CLOEXEC) < 0) give_up("pipe");
  // Else a sleep may last 50 microseconds longer.
  if (prctl(PR_SET_TIMERSLACK, 1) < 0) give_up("prctl");
  const pid_t pid = fork();
  if (pid < 0) give_up("fork");
  if (pid == 0) {
    if (dup2(input[0], 0) < 0 || dup2(output[1], 1) < 0 || dup2(output[1], 2) < 0) _exit(124);
    execv(argv[2], argv + 2);
    _exit(124);
  }
  close(output[1]);
  const struct timespec time = {.tv_sec = delay / 1000000000, .tv_nsec = delay % 1000000000};
  nanosleep(&time, NULL);
  if (kill(pid, SIGKILL) < 0) give_up("kill");
  int status;
  if (waitpid(pid, &status, 0) < 0) give_up("waitpid");
  // What may live on could hold the other end.
  if (fcntl(output[0], F_SETFL, O_NONBLOCK) < 0) give_up("fcntl");
  char text[4096];
  const ssize_t size = read(output[0], text, sizeof text);
  printf("%#x\n%.*s", status, size < 0 ? 0 : (int)size, text);
  return 0;
}
