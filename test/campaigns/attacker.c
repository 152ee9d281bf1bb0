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

static unsigned long exchange(const char* a, const char* b) {
  return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0;
}

// For a while that is mostly short, and at most some 2 to the power of `longest` turns.
static void rest(uint32_t* state, uint32_t longest) {
  for (volatile uint32_t turns = draw(state) % (1U << draw(state) % longest); turns > 0; --turns) continue;
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  uint32_t state = (uint32_t)atol(argv[1]) | 1;
  const uint32_t pairs = (uint32_t)(argc - 2) / 2;
  unsigned long exchanged = 0;
  signal(SIGTERM, terminate);
  uint32_t longest = 12;
  for (unsigned long round = 0; !terminated; ++round) {
    // Sometimes hardly any attempt comes to an end, sometimes hardly any is disturbed.
    if (round % 256 == 0) longest = 12 + draw(&state) % 11;
    char** pair = argv + 2 + 2 * (draw(&state) % pairs);
    exchanged += exchange(pair[0], pair[1]);
    // Long enough for whoever has looked before to look again.
    rest(&state, 14);
    exchanged += exchange(pair[0], pair[1]);
    rest(&state, longest);
  }
  printf("%lu\n", exchanged);
  return 0;
}
