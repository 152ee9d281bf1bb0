// Exchanges each A with the B that follows it, and back, as fast as it can, one pair at a time in random order, until
// it is terminated:
//
//     attacker SEED A B A B…
//
// Prints how often names were exchanged.
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static volatile sig_atomic_t terminated;

static void terminate(int signal) {
  (void)signal;
  terminated = 1;
}

static uint32_t draw(uint32_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  uint32_t state = (uint32_t)atol(argv[1]) | 1;
  const uint32_t pairs = (uint32_t)(argc - 2) / 2;
  unsigned long exchanged = 0;
  signal(SIGTERM, terminate);
  while (!terminated) {
    char** pair = argv + 2 + 2 * (draw(&state) % pairs);
    for (int i = 0; i < 2; ++i) exchanged += renameat2(AT_FDCWD, pair[0], AT_FDCWD, pair[1], RENAME_EXCHANGE) == 0;
    // Bursts and rests: the true names are there often enough for attempts to come to an end.
    for (volatile uint32_t pause = draw(&state) % (1U << draw(&state) % 22); pause > 0; --pause) continue;
  }
  printf("%lu\n", exchanged);
  return 0;
}
