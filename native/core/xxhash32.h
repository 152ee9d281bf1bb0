#pragma once

#include <stddef.h>
#include <stdint.h>

namespace appc {

/** XXH32 with the seed 0. */
uint32_t xxHash32(const void* bytes, size_t size);

}  // namespace appc
