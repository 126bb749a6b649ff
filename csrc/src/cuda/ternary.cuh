// What the ternary verbs share: a group of entries as one integer.
#pragma once

#include "cuda/device.cuh"
#include "zkcore/ternary.hpp"
#include "zkcore/ternary_cuda.hpp"

namespace zkcore::cuda {

// sum_i 3^i entries[i * stride] for i < count.
__device__ __forceinline__ int group_value(const int8_t* entries, size_t stride, int count) {
  int value = 0;
#pragma unroll
  for (int i = kMostTrits; i-- > 0;) {
    if (i < count) value = 3 * value + entries[i * stride];
  }
  return value;
}

// Segments that a loop over `groups` is cut into, so that `threads` times as many fill the device.
inline size_t ternary_segments(size_t threads, size_t groups) {
  const size_t wanted = static_cast<size_t>(multiprocessors()) * 2048 / std::max<size_t>(1, threads);
  return std::clamp<size_t>(wanted, 1, std::min<size_t>(std::max<size_t>(1, groups / 8), 4096));
}

}  // namespace zkcore::cuda
