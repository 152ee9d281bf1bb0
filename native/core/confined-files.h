// The file system as a confined program sees it: the host's, read-only, with empty directories in the place of private
// ones, in which what is to be shown lies at its own path.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "confinement.h"
#include "private-mounts.h"
#include "result.h"
#include "sys.h"
#include "text.h"

namespace appc {

/** Whose directories they are. */
struct Owner {
  uint32_t uid;
  /** $HOME where it is an absolute path, else null. */
  const char* home;
};

class ConfinedFiles {
 public:
  /** Opens and clones what is to be shown, at `root` before anything of it is covered. */
  Result open(int root, const Confinement& confinement, const Owner& owner);
  /** Makes the host read-only, covers what is private, and puts on top what is to be shown. */
  Result mount(int root, const Confinement& confinement, const Owner& owner);
  /**
   * For a process that comes in where another launch has made all this: the paths that are to be shown are those below
   * which can be written.
   */
  Result adopt(int root, const Confinement& confinement);
  /** /dev/pts of its own; -1 without. */
  int terminals() const { return terminals_.get(); }
  /** What can be written below, for Landlock: descriptors. */
  const int* writable() const { return writable_; }
  size_t writableCount() const { return writableCount_; }

 private:
  static constexpr size_t maxDevices = 32;
  static constexpr size_t maxPrivate = 8;

  struct Piece {
    sys::Descriptor clone;
    PathText path;
    bool isDirectory;
    bool writable;
  };

  Result openShown(int root, const Shown& shown, const Owner& owner);
  Result openDevices(int root, bool graphics);
  Result coverDirectory(int root, const char* path, const char* mode);
  Result coverHomes(int root, const Owner& owner);
  Result provideHome(int root, const char* typed, const char* home, bool isPrivate);
  Result coverRun(int root, const Owner& owner);
  Result coverDevices(int root);
  Result show(int root, Piece& piece);
  void noteWritable(int fd) { writable_[writableCount_++] = fd; }

  Piece pieces_[maxShown];
  size_t pieceCount_ = 0;
  sys::Descriptor devices_[maxDevices];
  const char* deviceNames_[maxDevices];
  size_t deviceCount_ = 0;
  sys::Descriptor private_[maxPrivate];
  size_t privateCount_ = 0;
  OwnFileSystems own_;
  sys::Descriptor terminals_;
  sys::Descriptor memory_;
  int writable_[maxShown + maxPrivate];
  size_t writableCount_ = 0;
};

}  // namespace appc
