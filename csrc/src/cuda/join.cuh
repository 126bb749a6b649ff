// Sums of points that neighbouring threads hold, in shared memory.
#pragma once

#include "cuda/points.cuh"

namespace zkcore::cuda {

// The first of each `members` threads gets the sum of theirs. `members` is a power of two that divides the
// block's kThreads, all of which take part.
template <unsigned kThreads>
__device__ __forceinline__ void join_members(Xyzz& sum, unsigned members) {
  __shared__ uint4 room[kThreads * sizeof(Xyzz) / sizeof(uint4)];
  Xyzz* shared = reinterpret_cast<Xyzz*>(room);
  store(shared + threadIdx.x, sum);
  for (unsigned half = members / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x % members < half) {
      add_to(sum, load(shared + threadIdx.x + half));
      store(shared + threadIdx.x, sum);
    }
  }
}

}  // namespace zkcore::cuda
