// A terminal between the caller's and the program's. What the program does to its terminal (typing for the next shell,
// CVE-2017-5226) reaches this one alone; and unlike with setsid(2) alone, Ctrl-C, Ctrl-Z and sizes work.
#pragma once

#include <asm/termbits.h>
#include <poll.h>
#include <stddef.h>

#include "process.h"
#include "result.h"
#include "sys.h"

namespace appc {

class Terminal {
 public:
  /** Nothing where no standard stream is a terminal. `terminals`: the devpts to open it in, -1 for the machine's. */
  Result open(int terminals);
  /** Either end: in the supervisor this one's, in init and the program the other. */
  bool isOpen() const { return master_.get() >= 0 || slave_.get() >= 0; }
  /** In the child that leads the new session: makes it its terminal and its standard streams, where these were one. */
  Result enter();
  /** Gives the terminal to this process's group, from within the session. */
  void takeForeground() const;
  /** In the parent: leaves the program's end to it, and takes the keys of the caller's terminal as they are typed. */
  void begin();
  void makeRaw();
  /** Puts the caller's terminal back as it was. */
  void restore();
  void copySize() const;
  /** What to wait for; 2. */
  void prepare(struct pollfd* descriptors) const;
  /** Carries over what there is. */
  void relay(const struct pollfd* descriptors);
  /** What the program wrote last. */
  void drain();

 private:
  struct Buffer {
    char bytes[4096];
    size_t from = 0;
    size_t to = 0;
    bool isEmpty() const { return from == to; }
  };

  bool fromProgram();
  void fromCaller();
  void toProgram();

  sys::Descriptor master_;
  sys::Descriptor slave_;
  bool isTerminal_[3] = {};
  int outer_ = -1;
  /** Where the caller's keys come from; -1 when its input is no terminal, or has ended. */
  int input_ = -1;
  int output_ = -1;
  struct termios before_ = {};
  bool raw_ = false;
  Buffer typed_;
};

}  // namespace appc
