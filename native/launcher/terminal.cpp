#include "terminal.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/tty.h>

namespace appc {
namespace {

constexpr unsigned peerFlags = O_RDWR | O_NOCTTY | O_CLOEXEC;

struct Size {
  unsigned short rows, columns, width, height;
};

/** cfmakeraw(3). */
struct termios rawFrom(struct termios settings) {
  settings.c_iflag &= ~static_cast<tcflag_t>(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
  settings.c_oflag &= ~static_cast<tcflag_t>(OPOST);
  settings.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
  settings.c_cflag &= ~static_cast<tcflag_t>(CSIZE | PARENB);
  settings.c_cflag |= CS8;
  return settings;
}

/** All of it; what the caller's terminal does not take is lost, as when it was closed. */
void writeAll(int fd, const char* bytes, size_t size) {
  while (size > 0) {
    const long written = sys::write(fd, bytes, size);
    if (written == -EINTR) continue;
    if (written == -EAGAIN) {
      struct pollfd ready = {fd, POLLOUT, 0};
      sys::poll(&ready, 1);
      continue;
    }
    if (written <= 0) return;
    bytes += written;
    size -= static_cast<size_t>(written);
  }
}

}  // namespace

Result Terminal::open(int terminals) {
  for (int fd = 2; fd >= 0; --fd) {
    isTerminal_[fd] = sys::ioctl(fd, TCGETS, &before_) == 0;
    if (isTerminal_[fd]) outer_ = fd;
  }
  if (outer_ < 0) return success();
  // The keys come from there where standard input is no terminal, too: in raw mode nobody else would see Ctrl-C.
  const long access = sys::call(SYS_fcntl, outer_, F_GETFL);
  hasKeys_ = access >= 0 && (access & O_ACCMODE) != O_WRONLY;
  output_ = isTerminal_[1] ? 1 : outer_;
  sys::ioctl(outer_, TCGETS, &before_);
  constexpr int flags = O_RDWR | O_NOCTTY | O_NONBLOCK;
  master_.reset(terminals < 0 ? sys::open(AT_FDCWD, "/dev/ptmx", flags) : sys::open(terminals, "ptmx", flags));
  if (master_.error() != 0) return failure(Step::openTerminal, nullptr, master_.error());
  const int unlocked = 0;
  int error = sys::ioctl(master_.get(), TIOCSPTLCK, &unlocked);
  if (error == 0) {
    slave_.reset(sys::ioctl(master_.get(), TIOCGPTPEER, static_cast<long>(peerFlags)));
    error = -slave_.error();
  }
  if (error == 0) error = sys::ioctl(slave_.get(), TCSETS, &before_);
  if (error < 0) return failure(Step::openTerminal, nullptr, error);
  copySize();
  return success();
}

Result Terminal::enter() {
  int error = sys::ioctl(slave_.get(), TIOCSCTTY, 0L);
  for (int fd = 0; fd < 3 && error >= 0; ++fd) {
    if (isTerminal_[fd]) error = sys::duplicate(slave_.get(), fd);
  }
  master_.reset(-1);
  return error < 0 ? failure(Step::openTerminal, nullptr, error) : success();
}

Result Terminal::giveForeground(int group) const {
  const int error = sys::ioctl(slave_.get(), TIOCSPGRP, &group);
  return error < 0 ? failure(Step::openTerminal, nullptr, error) : success();
}

void Terminal::begin() { slave_.reset(-1); }

/** A terminal that is not this session's has no groups, and nobody else to read from it. */
bool Terminal::isForeground() const {
  int group;
  return sys::ioctl(outer_, TIOCGPGRP, &group) < 0 || group == static_cast<int>(sys::call(SYS_getpgid, 0));
}

bool Terminal::take(bool asked) {
  if (!isOpen() || !hasKeys_ || (!asked && !isTerminal_[1]) || !isForeground()) return false;
  if (raw_) return true;
  if (sys::ioctl(outer_, TCGETS, &before_) < 0) return false;
  // Those that it had when the program was started in the background were a shell's at its prompt.
  if (!wasTaken_) sys::ioctl(master_.get(), TCSETS, &before_);
  wasTaken_ = true;
  const struct termios settings = rawFrom(before_);
  raw_ = sys::ioctl(outer_, TCSETS, &settings) == 0;
  return raw_;
}

void Terminal::restore() {
  if (raw_) sys::ioctl(outer_, TCSETS, &before_);
  raw_ = false;
}

void Terminal::takeAgain() {
  if (!raw_ || !isForeground()) return;
  const struct termios settings = rawFrom(before_);
  sys::ioctl(outer_, TCSETS, &settings);
}

void Terminal::copySize() const {
  Size size;
  if (isOpen() && sys::ioctl(outer_, TIOCGWINSZ, &size) == 0) sys::ioctl(master_.get(), TIOCSWINSZ, &size);
}

void Terminal::prepare(struct pollfd* descriptors) const {
  // No more keys are taken than the program has room for; that the terminal is gone is told in any case.
  descriptors[0] = {outer_, static_cast<short>(raw_ && typed_.isEmpty() ? POLLIN : 0), 0};
  descriptors[1] = {master_.get(), static_cast<short>(typed_.isEmpty() ? POLLIN : POLLIN | POLLOUT), 0};
}

void Terminal::relay(const struct pollfd* descriptors) {
  if ((descriptors[0].revents & POLLIN) != 0) fromCaller();
  // The program's goes with it.
  if ((descriptors[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) master_.reset(-1);
  if ((descriptors[1].revents & POLLIN) != 0) fromProgram();
  // Without anybody on the other side; the end is told otherwise.
  if ((descriptors[1].revents & (POLLHUP | POLLERR)) != 0 && (descriptors[1].revents & POLLIN) == 0) master_.reset(-1);
  toProgram();
}

void Terminal::fromCaller() {
  const long count = sys::read(outer_, typed_.bytes, sizeof typed_.bytes);
  typed_.from = 0;
  typed_.to = count > 0 ? static_cast<size_t>(count) : 0;
}

void Terminal::toProgram() {
  while (!typed_.isEmpty()) {
    const long count = sys::write(master_.get(), typed_.bytes + typed_.from, typed_.to - typed_.from);
    if (count == -EINTR) continue;
    if (count == -EAGAIN) return;
    if (count < 0) typed_.from = typed_.to;
    if (count > 0) typed_.from += static_cast<size_t>(count);
  }
}

bool Terminal::fromProgram() {
  char bytes[4096];
  const long count = sys::read(master_.get(), bytes, sizeof bytes);
  if (count == -EINTR) return true;
  if (count <= 0) return false;
  writeAll(output_, bytes, static_cast<size_t>(count));
  return true;
}

void Terminal::drain() {
  while (isOpen() && fromProgram()) continue;
}

}  // namespace appc
