// Sums over a block's shared memory.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace zkcore::cuda {

// Exclusive scan of values[0 .. n) in shared memory by a whole block of at most 32 warps; returns the total.
// A warp takes neighbouring values, 32 at a time, so that no two of its threads meet in a bank.
inline __device__ uint32_t block_scan(uint32_t* values, uint32_t n) {
  __shared__ uint32_t warps[32];
  const uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const uint32_t each = (n + blockDim.x - 1) / blockDim.x * 32;
  const uint32_t begin = min(n, warp * each);
  const uint32_t end = min(n, begin + each);
  uint32_t running = 0;
  for (uint32_t first = begin; first < end; first += 32) {
    const uint32_t own = first + lane < end ? values[first + lane] : 0;
    uint32_t inclusive = own;
#pragma unroll
    for (int d = 1; d < 32; d *= 2) {
      const uint32_t below = __shfl_up_sync(0xffffffffu, inclusive, d);
      if (lane >= static_cast<uint32_t>(d)) inclusive += below;
    }
    if (first + lane < end) values[first + lane] = running + inclusive - own;
    running += __shfl_sync(0xffffffffu, inclusive, 31);
  }
  if (lane == 0) warps[warp] = running;
  __syncthreads();
  const uint32_t others = lane < blockDim.x / 32 ? warps[lane] : 0;
  const uint32_t before = __reduce_add_sync(0xffffffffu, lane < warp ? others : 0);
  const uint32_t total = __reduce_add_sync(0xffffffffu, others);
  for (uint32_t i = begin + lane; i < end; i += 32) values[i] += before;
  __syncthreads();
  return total;
}

}  // namespace zkcore::cuda
