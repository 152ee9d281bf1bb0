// Looking at files, as many of them are looked at together.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace appc::addon {

/** Of each file: errno, and then st_dev … st_gid. lib/launch/batch.ts knows the order. */
constexpr size_t columns = 9;
constexpr size_t sizeColumn = 3;

void describe(const struct stat& stat, uint64_t* row);

/** A descriptor, or a negative errno. Only regular files: a FIFO would block, a device act. */
int openRegular(const char* path, uint64_t* row);

/** What lies in a directory: names, each with a slash behind it, and rows are added. How many there were, or a negative
 * errno. */
int32_t listDirectory(const char* path, std::string& names, std::vector<uint64_t>& rows);

/** How many bytes were read, fewer than asked for only at the end of the file; or a negative errno. */
int32_t readFully(int fd, uint8_t* bytes, size_t length, off_t position);

}  // namespace appc::addon
