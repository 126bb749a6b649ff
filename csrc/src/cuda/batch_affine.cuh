// Many affine additions at once: the inversions of a thread's additions are shared (Montgomery's trick), so
// an addition costs 5M + 1S, against 8M + 2S for a mixed XYZZ addition.
//
//   l = (y2 - y1) / (x2 - x1),  x3 = l^2 - x1 - x2,  y3 = l (x1 - x3) - y1
//
// A thread takes every thread_count()-th addition. First it multiplies up the denominators, leaving the
// products before each in `prefix`; after one inversion it walks back. Denominators are computed twice rather
// than stored.
#pragma once

#include "cuda/points.cuh"
#include "zkcore/group_counters.hpp"

namespace zkcore::cuda {

struct Operand {
  const Affine* point;
  bool negative;

  __device__ __forceinline__ Fq x() const { return load(&point->x); }
  __device__ __forceinline__ Fq y() const {
    const Fq y = load(&point->y);
    return negative ? -y : y;
  }
};

enum class Case { kAdd, kFirst, kSecond, kDouble, kInfinity };

__device__ __forceinline__ Fq denominator(const Operand& a, const Operand& b, Case& which) {
  const Fq x1 = a.x(), x2 = b.x();
  const Fq difference = x2 - x1;
  which = Case::kAdd;
  if (!is_infinity(x1) && !is_infinity(x2) && !difference.is_zero()) return difference;
  if (is_infinity(x1)) {
    which = Case::kSecond;
  } else if (is_infinity(x2)) {
    which = Case::kFirst;
  } else {
    const Fq y1 = a.y();
    which = y1 == b.y() ? Case::kDouble : Case::kInfinity;
    if (which == Case::kDouble) return y1.dbl();
  }
  return Fq::one();
}

// Source: a(i), b(i) -> Operand; out(i) -> Affine*, none of them an operand of this launch.
template <class Source>
__global__ void __launch_bounds__(128, 4) add_pairs_kernel(Source source, size_t n, Fq* prefix) {
  const size_t step = thread_count();
  size_t i = thread_index();
  if (i >= n) return;
  Fq product = Fq::one();
  Case which;
#pragma unroll 1
  for (; i < n; i += step) {
    store(prefix + i, product);
    product *= denominator(source.a(i), source.b(i), which);
  }
  Fq inverse = inverse_in_step(product);
#pragma unroll 1
  do {
    i -= step;
    const Operand a = source.a(i), b = source.b(i);
    const Fq own = denominator(a, b, which);
    const Fq slope_factor = inverse * load(prefix + i);
    inverse *= own;
    const Fq x1 = a.x(), x2 = b.x(), y1 = a.y();
    Fq rise = b.y() - y1;
    if (which == Case::kDouble) {
      const Fq square = x1.sqr();
      rise = square.dbl() + square;
    }
    const Fq slope = rise * slope_factor;
    Affine sum;
    sum.x = slope.sqr() - x1 - x2;
    sum.y = slope * (x1 - sum.x) - y1;
    if (which == Case::kFirst) sum = {x1, y1};
    if (which == Case::kSecond) sum = {x2, b.y()};
    if (which == Case::kInfinity) sum = Affine::infinity();
    store(source.out(i), sum);
  } while (i >= step);
}

// `prefix` has room for n elements.
template <class Source>
void add_pairs(const Source& source, size_t n, Fq* prefix, Stream stream) {
  count_group_adds(n);
  launch(add_pairs_kernel<Source>, looping(add_pairs_kernel<Source>, n, 128), stream, source, n, prefix);
}

}  // namespace zkcore::cuda
