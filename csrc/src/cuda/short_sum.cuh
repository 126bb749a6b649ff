// Short sums of integers times field elements, and products with one factor for a whole grid.
#pragma once

#include "cuda/sums.cuh"

namespace zkcore::cuda {

// Sum of u * a for unsigned u of 32 bits, divided by 2^64: a SmallSum of one limb less and half the additions
// at its end. The elements come lifted by 2^64; good for 2^16 products.
// Limbs lie in pairs, as wide multiplications want them, even where branches meet.
class ShortSum {
 public:
  ShortSum() = default;
  __device__ __forceinline__ explicit ShortSum(const Fr& start) {
#pragma unroll
    for (int i = 0; i < 4; ++i) even_[i] = start.v[i];
  }
  __device__ __forceinline__ void add(uint32_t u, const Fr& a) {
    uint32_t x[8];
    ptx::split<8>(x, a.v);
    ptx::add_alternate(even_, even_top_, x[0], x[2], x[4], x[6], u);
    ptx::add_alternate(odd_, odd_top_, x[1], x[3], x[5], x[7], u);
  }
  // The start of another sum.
  __device__ __forceinline__ void add(const Fr& a) {
    uint32_t x[8], y[8];
    ptx::split<8>(x, a.v);
    ptx::split<8>(y, even_);
    y[0] = ptx::add_cc(y[0], x[0]);
#pragma unroll
    for (int i = 1; i < 8; ++i) y[i] = ptx::addc_cc(y[i], x[i]);
    even_top_ = ptx::addc(even_top_, 0);
    ptx::join<8>(even_, y);
  }
  __device__ __forceinline__ Fr lower() const {
    uint32_t E[9], O[9], r[8];
    split(E, O);
    ptx::reduce_two<FrParams>(r, E, O);  // below 2p
    ptx::subtract_once<FrParams>(r);
    Fr out;
    ptx::join<8>(out.v, r);
    return out;
  }
  // As it is, not divided.
  __device__ __forceinline__ void limbs(uint32_t (&t)[10]) const {
    uint32_t E[9], O[9];
    split(E, O);
    t[0] = E[0];
    t[1] = ptx::add_cc(E[1], O[0]);
#pragma unroll
    for (int i = 2; i < 9; ++i) t[i] = ptx::addc_cc(E[i], O[i - 1]);
    t[9] = ptx::addc(0, O[8]);
  }

 private:
  __device__ __forceinline__ void split(uint32_t (&E)[9], uint32_t (&O)[9]) const {
    ptx::split<8>(E, even_);
    ptx::split<8>(O, odd_);
    E[8] = even_top_;
    O[8] = odd_top_;
  }

  uint64_t even_[4] = {}, odd_[4] = {};  // weights 2^(64 k) and 2^(64 k + 32)
  uint32_t even_top_ = 0, odd_top_ = 0;
};

// Multiples r 2^(32 j + 64) mod p, j < 8, of the factor r itself, not of its Montgomery form: the sum of an
// element's limbs times these, divided by 2^64, is the product. It takes two rows of the reduction instead of
// eight, 76 wide multiplications instead of 112. A kernel's argument: the limbs are read as operands.
struct FixedFactor {
  Fr multiples[8];
  FixedFactor() = default;
  explicit FixedFactor(const Fr& factor) {
    multiples[0] = Fr::from_limbs(factor.to_limbs()) * two_to<64>();
    for (int j = 1; j < 8; ++j) multiples[j] = multiples[j - 1] * two_to<32>();
  }
};

__device__ __forceinline__ Fr operator*(const Fr& element, const FixedFactor& factor) {
  uint32_t x[8];
  ptx::split<8>(x, element.v);
  ShortSum sum;
#pragma unroll
  for (int j = 0; j < 8; ++j) sum.add(x[j], factor.multiples[j]);
  return sum.lower();
}

}  // namespace zkcore::cuda
