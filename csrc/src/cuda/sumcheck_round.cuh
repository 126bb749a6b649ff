// Sums over pairs of table entries, one grid a round: the frame that all sumchecks share.
//
//   sum over x of E(x) * f(x),  E(x) = outer[x / 256] * inner[x % 256], or 1
//
// A thread keeps x % 256, so the inner factor is applied once to its whole sum and an index costs one product
// with the outer entry, whose reduction is delayed. `Body` supplies f at K points of the round's variable.
#pragma once

#include <algorithm>
#include <type_traits>

#include "cuda/sums.cuh"

namespace zkcore::cuda {

// eq over the variables after the current one; inner has kBlock entries, or as many as there are indices.
struct EqView {
  const Fr* outer;
  const Fr* inner;
  unsigned inner_mask;
};

// The points of a round. q has degree e: its values at one end (0 or 1) and, if e >= 2, its leading
// coefficient are summed in one pass, the value at 2 too if e > 2, that at 3 too if e = 4, and both ends if
// e = 2 and the claim is not known. Other points come one by one.
enum class Points { kEnd, kEndLeading, kBothLeading, kEndLeadingTwo, kEndLeadingTwoThree, kSingle };

constexpr int point_count(Points points) {
  return points == Points::kEndLeading                                        ? 2
         : points == Points::kBothLeading || points == Points::kEndLeadingTwo ? 3
         : points == Points::kEndLeadingTwoThree                              ? 4
                                                                              : 1;
}

// For kEnd...: whether the end is 1. For kSingle: the point.
struct PointChoice {
  int x;
};

// Calls fn(k, value, leading) for each point of a linear function with values lo and hi at 0 and 1.
template <Points kPoints, class Fn>
__device__ __forceinline__ void at_points(const Fr& lo, const Fr& hi, PointChoice choice, Fn&& fn) {
  if constexpr (kPoints == Points::kSingle) {
    const Fr step = hi - lo;
    Fr value = hi;
    for (int i = 1; i < choice.x; ++i) value += step;
    fn(0, choice.x == 0 ? lo : value, false);
  } else {
    constexpr bool kBoth = kPoints == Points::kBothLeading;
    fn(0, !kBoth && choice.x ? hi : lo, false);
    if constexpr (kPoints != Points::kEnd) {
      const Fr step = hi - lo;
      fn(1, step, true);
      if constexpr (kBoth) fn(2, hi, false);
      if constexpr (kPoints == Points::kEndLeadingTwo) fn(2, hi + step, false);
      if constexpr (kPoints == Points::kEndLeadingTwoThree) {
        const Fr two = hi + step;
        fn(2, two, false);
        fn(3, two + step, false);
      }
    }
  }
}

// kCount sums of products.
template <int kCount>
struct ProductSums {
  ProductSum of[kCount];
  template <class... Factors>
  __device__ __forceinline__ void add(int k, const Factors&... factors) {
    of[k].add(factors...);
  }
  __device__ __forceinline__ Fr total(int k) const { return of[k].total(); }
};

// The first two of them in shared memory.
template <int kCount>
struct MixedSums {
  SharedProductSums<2> shared;
  ProductSum rest[kCount - 2];
  template <class... Factors>
  __device__ __forceinline__ void add(int k, const Factors&... factors) {
    k < 2 ? shared.add(k, factors...) : rest[k - 2].add(factors...);
  }
  __device__ __forceinline__ Fr total(int k) const { return k < 2 ? shared.total(k) : rest[k - 2].total(); }
};

// Body: kSums, kEq, Sums (by default ProductSums); add(index, eq, sums), where eq means nothing without kEq;
// perhaps prefetch(index), called one turn before.
template <class Body>
__global__ void __launch_bounds__(kBlock, 2) round_kernel(Body body, EqView eq, size_t pairs, Report report) {
  typename Body::Sums sums;
  for (size_t row = blockIdx.x; row * kBlock < pairs; row += gridDim.x) {
    const size_t i = row * kBlock + threadIdx.x;
    if (i >= pairs) break;
    const size_t next = i + static_cast<size_t>(gridDim.x) * kBlock;
    if constexpr (requires { body.prefetch(next); }) {
      if (next < pairs) body.prefetch(next);
    }
    Fr weight = Fr::zero();
    if constexpr (Body::kEq) weight = load(eq.outer + row);
    body.add(i, weight, sums);
  }
  Fr totals[Body::kSums];
  Fr scale = Fr::zero();
  if constexpr (Body::kEq) scale = load(eq.inner + (threadIdx.x & eq.inner_mask));
#pragma unroll
  for (int k = 0; k < Body::kSums; ++k) {
    totals[k] = sums.total(k);
    if constexpr (Body::kEq) totals[k] *= scale;
  }
  grid_sum<Body::kSums>(totals, report);
}

// `pairs` > 0.
template <class Body>
void launch_round(const Body& body, const EqView* eq, size_t pairs, const Report& report, Stream stream) {
  Shape shape = looping(round_kernel<Body>, pairs);
  shape.grid.x = std::min(shape.grid.x, Reports::kMaxBlocks);
  launch(round_kernel<Body>, shape, stream, body, eq ? *eq : EqView{}, pairs, report);
}

// Calls fn with the compile-time forms of `points`, fused (a challenge is bound on the way) and eq.
template <class Fn>
void with_round_kind(Points points, bool fused, bool eq, Fn&& fn) {
  const auto with_eq = [&](auto p, auto f) { eq ? fn(p, f, std::true_type{}) : fn(p, f, std::false_type{}); };
  const auto with_fused = [&](auto p) {
    fused ? with_eq(p, std::true_type{}) : with_eq(p, std::false_type{});
  };
  switch (points) {
    case Points::kEnd:
      return with_fused(std::integral_constant<Points, Points::kEnd>{});
    case Points::kEndLeading:
      return with_fused(std::integral_constant<Points, Points::kEndLeading>{});
    case Points::kBothLeading:
      return with_eq(std::integral_constant<Points, Points::kBothLeading>{}, std::false_type{});
    case Points::kEndLeadingTwo:
      return with_fused(std::integral_constant<Points, Points::kEndLeadingTwo>{});
    case Points::kEndLeadingTwoThree:
      return with_fused(std::integral_constant<Points, Points::kEndLeadingTwoThree>{});
    case Points::kSingle:
      return with_eq(std::integral_constant<Points, Points::kSingle>{}, std::false_type{});
  }
}

}  // namespace zkcore::cuda
