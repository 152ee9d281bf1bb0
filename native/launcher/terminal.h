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
  /** From within the session: makes a group, or that of this process, the foreground's. */
  Result giveForeground(int group) const;
  /** In the parent: leaves the program's end to it. */
  void begin();
  /**
   * Takes the keys as they are typed, and tells whether that is so: not while the shell has another job in the
   * foreground, and not, unless the program `asked`, where the output goes to something else that may read the keys (a
   * pager).
   */
  bool take(bool asked);
  /** Puts the caller's terminal back as it was. */
  void restore();
  /** A stop that this process could not see may have changed the caller's terminal. */
  void takeAgain();
  void copySize() const;
  /** Whether the parent still needs a standard stream of the caller's. */
  bool uses(int fd) const { return isOpen() && isTerminal_[fd]; }
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

  bool isForeground() const;
  bool fromProgram();
  void fromCaller();
  void toProgram();

  sys::Descriptor master_;
  sys::Descriptor slave_;
  bool isTerminal_[3] = {};
  int outer_ = -1;
  bool hasKeys_ = false;
  int output_ = -1;
  struct termios before_ = {};
  bool raw_ = false;
  bool wasTaken_ = false;
  Buffer typed_;
};

}  // namespace appc
