// Sums over a block's shared memory.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace zkcore::cuda {

// Exclusive scan of values[0 .. n) in shared memory by a whole block; returns the total.
inline __device__ uint32_t block_scan(uint32_t* values, uint32_t n) {
  __shared__ uint32_t warps[32];
  const uint32_t each = (n + blockDim.x - 1) / blockDim.x;
  const uint32_t begin = min(n, threadIdx.x * each);
  const uint32_t end = min(n, begin + each);
  uint32_t own = 0;
  for (uint32_t i = begin; i < end; ++i) own += values[i];
  uint32_t inclusive = own;
  const unsigned lane = threadIdx.x % 32;
  for (int d = 1; d < 32; d *= 2) {
    const uint32_t below = __shfl_up_sync(0xffffffffu, inclusive, d);
    if (lane >= static_cast<unsigned>(d)) inclusive += below;
  }
  if (lane == 31) warps[threadIdx.x / 32] = inclusive;
  __syncthreads();
  if (threadIdx.x < 32) {
    const uint32_t mine = threadIdx.x < blockDim.x / 32 ? warps[threadIdx.x] : 0;
    uint32_t sum = mine;
    for (int d = 1; d < 32; d *= 2) {
      const uint32_t below = __shfl_up_sync(0xffffffffu, sum, d);
      if (lane >= static_cast<unsigned>(d)) sum += below;
    }
    warps[threadIdx.x] = sum;
  }
  __syncthreads();
  const uint32_t total = warps[31];
  uint32_t running = inclusive - own + (threadIdx.x >= 32 ? warps[threadIdx.x / 32 - 1] : 0);
  for (uint32_t i = begin; i < end; ++i) {
    const uint32_t value = values[i];
    values[i] = running;
    running += value;
  }
  __syncthreads();
  return total;
}

}  // namespace zkcore::cuda
