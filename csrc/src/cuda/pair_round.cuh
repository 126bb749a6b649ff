// Sums of products over pairs of entries at one end of the round's variable, and of the differences between
// the ends: the leading coefficient.
//
// A thread takes one end of a pair and its neighbour half a warp away the other: each binds its own entries,
// and one of the two then has the products at the end, the other those of the differences. So a thread keeps
// one sum and few values, and the code is short enough for the instruction cache.
#pragma once

#include "cuda/sumcheck_round.cuh"

namespace zkcore::cuda {

// kBlock threads take kPairs pairs. Grids have an even number of blocks, so that a thread keeps its pair's
// index modulo kBlock, on which the inner factor of eq depends.
constexpr unsigned kPairs = kBlock / 2;

class PairEnd {
 public:
  __device__ __forceinline__ PairEnd()
      : differs_(threadIdx.x / 16 % 2), column_(threadIdx.x / 32 * 16 + threadIdx.x % 16) {}

  __device__ __forceinline__ unsigned differs() const { return differs_; }  // 1: takes differences
  __device__ __forceinline__ size_t pair(size_t turn) const { return turn * kPairs + column_; }
  __device__ __forceinline__ size_t entry(size_t pair, size_t pairs, int end) const {
    return pair + (differs_ == static_cast<unsigned>(end) ? 0 : pairs);
  }
  // What enters the products. The sign of a difference depends on the end, that of a product of two does not.
  __device__ __forceinline__ Fr value(const Fr& own) const {
    const uint64_t mask = differs_ ? ~uint64_t{0} : 0;
    Fr other;
#pragma unroll
    for (int i = 0; i < 4; ++i) other.v[i] = __shfl_xor_sync(0xffffffffu, own.v[i], 16) & mask;
    return own - other;
  }
  __device__ __forceinline__ int32_t value(int32_t own) const {
    const int32_t other = __shfl_xor_sync(0xffffffffu, own, 16);
    return differs_ ? own - other : own;
  }

 private:
  unsigned differs_, column_;
};

__device__ __forceinline__ Fr outer_weight(const EqView& eq, size_t pair, bool active) {
  return active ? load(eq.outer + pair / kBlock) : Fr::zero();
}
__device__ __forceinline__ Fr inner_weight(const EqView& eq, const PairEnd& end) {
  return load(eq.inner + (end.pair(blockIdx.x) & eq.inner_mask));
}

// Leaves the two sums: a thread's own is that at the end or that of the differences.
__device__ __forceinline__ void report_pairs(const PairEnd& end, const Fr& own, const Report& report) {
  Fr totals[2];
#pragma unroll
  for (unsigned k = 0; k < 2; ++k) totals[k] = k == end.differs() ? own : Fr::zero();
  grid_sum<2>(totals, report);
}

// `pairs` > 0. A single block has but one turn.
template <class Kernel>
Shape pair_shape(Kernel kernel, size_t pairs) {
  if (pairs <= kPairs) return {dim3(1), kBlock};
  const unsigned most = std::min(resident_blocks(kernel), Reports::kMaxBlocks) / 2;
  const size_t wanted = (pairs + kBlock - 1) / kBlock;  // two blocks each
  return {dim3(2 * static_cast<unsigned>(std::min<size_t>(wanted, std::max(most, 1u)))), kBlock};
}

}  // namespace zkcore::cuda
