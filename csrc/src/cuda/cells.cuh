// Sums that threads of many blocks add to: 32-bit limbs in 64-bit cells, reduced at the end.
#pragma once

#include "cuda/device.cuh"

namespace zkcore::cuda {

constexpr int kCells = 8;

__device__ __forceinline__ void add_to_cells(unsigned long long* cells, const Fr& value) {
#pragma unroll
  for (int k = 0; k < kCells; ++k) {
    const uint32_t limb = static_cast<uint32_t>(value.v[k / 2] >> (32 * (k % 2)));
    if (limb) atomicAdd(cells + k, static_cast<unsigned long long>(limb));
  }
}

// out[i]: what was added to cells[i].
void settle_cells(const unsigned long long* cells, size_t size, Fr* out, Stream stream);

}  // namespace zkcore::cuda
