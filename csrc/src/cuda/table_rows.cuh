// Where in its table a lookup looks.
#pragma once

#include <cstdint>

namespace zkcore::cuda {

// Row 0 stands for what lies outside the table.
__device__ __forceinline__ uint32_t row_of(int64_t x, int64_t first, uint32_t size) {
  const uint64_t row = static_cast<uint64_t>(x) - static_cast<uint64_t>(first);
  return row < size ? static_cast<uint32_t>(row) : 0;
}

}  // namespace zkcore::cuda
