// The signed subset sums of groups of generators, in batches of affine additions.
#include <algorithm>

#include "cuda/batch_affine.cuh"
#include "zkcore/ternary_cuda.hpp"

namespace zkcore::cuda {
namespace {

constexpr size_t kGroupsAtOnce = size_t{1} << 17;

// One step: from the sums of i generators of each group, v = 1 .. done, to those of i + 1. The highest w_i
// that is not 0 is 1, so these are the old ones, G_i itself, and G_i plus or minus each old one.
struct Step {
  const Affine* generators;  // of the groups at hand
  const Affine* infinity;
  Affine* sums;  // [group][half]
  size_t columns, groups, half;
  int g, i;
  uint32_t done;

  __device__ __forceinline__ const Affine* generator(size_t t) const {
    const size_t j = t * g + i;
    return j < columns ? generators + j : infinity;
  }
  __device__ __forceinline__ size_t value(size_t x) const { return x % (2 * done) / 2 + 1; }
  __device__ __forceinline__ Operand a(size_t x) const { return {generator(x / (2 * done)), false}; }
  __device__ __forceinline__ Operand b(size_t x) const {
    return {sums + x / (2 * done) * half + value(x) - 1, x % 2 == 1};
  }
  __device__ __forceinline__ Affine* out(size_t x) const {
    const size_t power = 2 * done + 1, v = value(x);
    return sums + x / (2 * done) * half + (x % 2 ? power - v : power + v) - 1;
  }
};

__global__ void __launch_bounds__(kBlock) place_kernel(Step s) {
  for (size_t t = thread_index(); t < s.groups; t += thread_count()) {
    store(s.sums + t * s.half + 2 * s.done, load(s.generator(t)));
  }
}

}  // namespace

void subset_sums(const Affine* generators, size_t n, int g, Affine* points, Stream stream) {
  const size_t groups = (n + g - 1) / g, half = ternary_half(g), most = std::min(groups, kGroupsAtOnce);
  check(cudaMemsetAsync(points, 0, sizeof(Affine), stream));
  const Array<Fq> prefix(most * 2 * half, stream);
  for (size_t first = 0; first < groups; first += most) {
    Step s{generators + first * g, points, points + 1 + first * half, n - first * g, 0, half, g, 0, 0};
    s.groups = std::min(most, groups - first);
    for (; s.i < g; ++s.i, s.done = 3 * s.done + 1) {
      launch(place_kernel, looping(place_kernel, s.groups), stream, s);
      if (s.done) add_pairs(s, s.groups * 2 * s.done, prefix.data(), stream);
    }
  }
}

}  // namespace zkcore::cuda
