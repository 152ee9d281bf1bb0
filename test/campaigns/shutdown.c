// Takes the power from the file system of a directory: what is not on the disk is gone, the journal's part in memory too.
// linux/fs/ext4/ioctl.c and fs/xfs/xfs_fsops.c: EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are one number, and so are their flags.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(int argc, char** argv) {
  const uint32_t withoutFlushingTheLog = 2;
  const int directory = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY) : -1;
  if (directory >= 0 && ioctl(directory, _IOR('X', 125, uint32_t), &withoutFlushingTheLog) == 0) return 0;
  perror(argv[argc - 1]);
  return 1;
}
