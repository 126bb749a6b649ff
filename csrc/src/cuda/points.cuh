// Points of one thread: sums in XYZZ coordinates, kept out of line, and back to affine.
#pragma once

#include "cuda/device.cuh"
#include "cuda/inverse.cuh"
#include "zkcore/curve.hpp"

namespace zkcore::cuda {

// No point of the subgroup has x = 0.
__device__ __forceinline__ bool is_infinity(const Fq& x) { return x.is_zero(); }

static __device__ __noinline__ void add_to(Xyzz& sum, const Affine& p) { sum = add(sum, p); }
static __device__ __noinline__ void add_to(Xyzz& sum, const Xyzz& p) { sum = add(sum, p); }
static __device__ __noinline__ void double_it(Xyzz& sum) { sum = dbl(sum); }

// x = X / ZZ, y = Y / ZZZ with ZZ^3 = ZZZ^2: 1 / ZZ = (ZZ / ZZZ)^2.
static __device__ __noinline__ Affine to_affine(const Xyzz& p) {
  const Fq inverse = inverse_in_step(p.zzz);  // 0 for infinity
  const Fq ratio = p.zz * inverse;
  return {p.x * ratio.sqr(), p.y * inverse};
}

}  // namespace zkcore::cuda
