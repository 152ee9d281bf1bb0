#pragma once

#include <stddef.h>
#include <stdint.h>

namespace appc {

/** CRC-32 as in zlib and gzip (polynomial 0xedb88320); `previous` is the CRC of the bytes before these. */
uint32_t crc32(const void* bytes, size_t size, uint32_t previous = 0);

}  // namespace appc
