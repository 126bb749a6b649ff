// Sums with delayed reduction, in registers, and columns' entries as field elements.
#pragma once

#include "cuda/device.cuh"

namespace zkcore::cuda {

// a * b in 16 limbs, not reduced: 64 wide multiplications of a product's 112.
__device__ __forceinline__ void wide_product(uint32_t (&t)[16], const Fr& a, const Fr& b) {
  uint32_t x[8], y[8];
  ptx::split<8>(x, a.v);
  ptx::split<8>(y, b.v);
  ptx::wide_mul<8, 8>(t, x, y);
}

// a * b + c * d with one reduction; the two products may come one after the other.
class TwoProducts {
 public:
  __device__ __forceinline__ TwoProducts() {
#pragma unroll
    for (int i = 0; i < 16; ++i) v_[i] = 0;
  }
  __device__ __forceinline__ TwoProducts(const Fr& a, const Fr& b) { wide_product(v_, a, b); }
  __device__ __forceinline__ TwoProducts& add(const Fr& a, const Fr& b) {
    uint32_t t[16];
    wide_product(t, a, b);
    v_[0] = ptx::add_cc(v_[0], t[0]);
#pragma unroll
    for (int i = 1; i < 15; ++i) v_[i] = ptx::addc_cc(v_[i], t[i]);
    v_[15] = ptx::addc(v_[15], t[15]);
    return *this;
  }
  // Of fewer limbs, as it is.
  template <class Sum>
  __device__ __forceinline__ TwoProducts& add(const Sum& sum) {
    uint32_t t[10];
    sum.limbs(t);
    v_[0] = ptx::add_cc(v_[0], t[0]);
#pragma unroll
    for (int i = 1; i < 15; ++i) v_[i] = ptx::addc_cc(v_[i], i < 10 ? t[i] : 0);
    v_[15] = ptx::addc(v_[15], 0);
    return *this;
  }
  __device__ __forceinline__ Fr total() const {
    uint32_t r[8];
    (void)ptx::reduce<FrParams, 8>(r, v_);  // below 2 p^2 / 2^256 + p < 2p
    ptx::subtract_once<FrParams>(r);
    Fr out;
    ptx::join<8>(out.v, r);
    return out;
  }

 protected:
  uint32_t v_[16];
};

// A sum of three or four: 4 p^2 < 2^512.
class FourProducts : public TwoProducts {
 public:
  using TwoProducts::TwoProducts;
  __device__ __forceinline__ Fr total() const {
    uint32_t r[8];
    uint32_t top = ptx::reduce<FrParams, 8>(r, v_);  // below 4 p^2 / 2^256 + p < 3p
    ptx::subtract_once<FrParams>(r, top);
    ptx::subtract_once<FrParams>(r, top);
    Fr out;
    ptx::join<8>(out.v, r);
    return out;
  }
};

__device__ __forceinline__ Fr mul_add(const Fr& a, const Fr& b, const Fr& c, const Fr& d) {
  return TwoProducts(a, b).add(c, d).total();
}

// sum += t, a carry included. The limbs of the sum, one more than t's, lie kStride words apart.
template <int kStride, int kCount>
__device__ __forceinline__ void add_limbs(uint32_t* sum, const uint32_t (&t)[kCount]) {
  sum[0] = ptx::add_cc(sum[0], t[0]);
#pragma unroll
  for (int i = 1; i < kCount; ++i) sum[i * kStride] = ptx::addc_cc(sum[i * kStride], t[i]);
  sum[kCount * kStride] = ptx::addc(sum[kCount * kStride], 0);
}

// sum += a * b, in 17 limbs.
template <int kStride>
__device__ __forceinline__ void add_product(uint32_t* sum, const Fr& a, const Fr& b) {
  uint32_t t[16];
  wide_product(t, a, b);
  add_limbs<kStride>(sum, t);
}

// sum += a * 2^256, what a alone is before the reduction.
template <int kStride>
__device__ __forceinline__ void add_shifted(uint32_t* sum, const Fr& a) {
  uint32_t x[8];
  ptx::split<8>(x, a.v);
  add_limbs<kStride>(sum + 8 * kStride, x);
}

// Sum of products of field elements: 17 limbs, reduced once; a product costs 64 wide multiplications instead
// of 112. Good for 2^31 products.
class ProductSum {
 public:
  __device__ ProductSum() {
#pragma unroll
    for (int i = 0; i < 17; ++i) v_[i] = 0;
  }
  __device__ __forceinline__ void add(const Fr& a, const Fr& b) { add_product<1>(v_, a, b); }
  __device__ __forceinline__ void add(const Fr& a) { add_shifted<1>(v_, a); }
  __device__ __forceinline__ void set_word(int i, uint32_t word) { v_[i] = word; }
  __device__ Fr total() const {
    uint32_t r[8];
    uint32_t top = ptx::reduce<FrParams, 8>(r, v_);
#pragma unroll
    for (int i = 0; i < 3; ++i) ptx::subtract_once<FrParams>(r, top);  // below 2^256 + p < 4p
    Fr low, high = Fr::zero();
    ptx::join<8>(low.v, r);
    high.v[0] = v_[16];
    return low + Fr::mul_wide(Fr::r_squared(), high);
  }

 private:
  uint32_t v_[17];
};

// K sums of products in shared memory, a column of words a thread: for kernels that have no registers to
// spare.
template <int K>
class SharedProductSums {
 public:
  __device__ __forceinline__ SharedProductSums() {
    __shared__ uint32_t room[K * kWords][kBlock];
    words_ = &room[0][threadIdx.x];
#pragma unroll 1
    for (int i = 0; i < K * kWords; ++i) words_[i * kBlock] = 0;
  }
  __device__ __forceinline__ void add(int k, const Fr& a, const Fr& b) {
    add_product<kBlock>(words_ + k * kWords * kBlock, a, b);
  }
  __device__ __forceinline__ void add(int k, const Fr& a) {
    add_shifted<kBlock>(words_ + k * kWords * kBlock, a);
  }
  __device__ __forceinline__ Fr total(int k) const {
    ProductSum sum;
#pragma unroll
    for (int i = 0; i < kWords; ++i) sum.set_word(i, words_[(k * kWords + i) * kBlock]);
    return sum.total();
  }

 private:
  static constexpr int kWords = 17;
  uint32_t* words_;
};

// floor(2^exponent / p) mod 2^64.
template <class Params>
ZK_HD constexpr uint64_t quotient_of_two_to(int exponent) {
  constexpr int N = Params::kLimbs;
  const Limbs<N> p = Params::modulus();
  Limbs<N> rest{};
  rest.v[0] = 1;
  uint64_t quotient = 0;
  for (int k = 0; k < exponent; ++k) {
    uint64_t carry = 0;
    for (int i = 0; i < N; ++i) rest.v[i] = add_carry(rest.v[i], rest.v[i], carry);
    const bool fits = !less_than<N>(rest.v, p.v);
    quotient = quotient << 1 | fits;
    if (!fits) continue;
    uint64_t borrow = 0;
    for (int i = 0; i < N; ++i) rest.v[i] = sub_borrow(rest.v[i], p.v[i], borrow);
  }
  return quotient;
}

// start + sum of u * a for unsigned u, in 10 limbs, and that divided by 2^64: SmallSum of column.hpp on carry
// chains. The elements come lifted by 2^64; the integers add up to less than 2^64.
class SmallSum {
 public:
  __device__ __forceinline__ explicit SmallSum(const Fr& start) {
    ptx::split<8>(even_, start.v);
    even_[8] = even_[9] = 0;
#pragma unroll
    for (int i = 0; i < 10; ++i) odd_[i] = 0;
  }
  __device__ __forceinline__ void add(uint32_t u, const Fr& a) {
    uint32_t x[8];
    ptx::split<8>(x, a.v);
#pragma unroll
    for (int j = 0; j < 8; j += 2) {
      even_[j] = j ? ptx::madc_lo_cc(x[j], u, even_[j]) : ptx::mad_lo_cc(x[j], u, even_[j]);
      even_[j + 1] = ptx::madc_hi_cc(x[j], u, even_[j + 1]);
    }
    even_[8] = ptx::addc_cc(even_[8], 0);
    even_[9] = ptx::addc(even_[9], 0);
#pragma unroll
    for (int j = 0; j < 8; j += 2) {
      odd_[j] = j ? ptx::madc_lo_cc(x[j + 1], u, odd_[j]) : ptx::mad_lo_cc(x[j + 1], u, odd_[j]);
      odd_[j + 1] = ptx::madc_hi_cc(x[j + 1], u, odd_[j + 1]);
    }
    odd_[8] = ptx::addc(odd_[8], 0);
  }
  // The start of another sum.
  __device__ __forceinline__ void add(const Fr& a) {
    uint32_t x[8];
    ptx::split<8>(x, a.v);
    even_[0] = ptx::add_cc(even_[0], x[0]);
#pragma unroll
    for (int i = 1; i < 8; ++i) even_[i] = ptx::addc_cc(even_[i], x[i]);
    even_[8] = ptx::addc(even_[8], 0);
  }
  __device__ __forceinline__ void add(uint64_t u, const Fr& a) {
    add(static_cast<uint32_t>(u), a);
    const uint32_t high = static_cast<uint32_t>(u >> 32);
    uint32_t x[8];
    ptx::split<8>(x, a.v);
#pragma unroll
    for (int j = 0; j < 8; j += 2) {  // one limb up: even products join the odd chain
      odd_[j] = j ? ptx::madc_lo_cc(x[j], high, odd_[j]) : ptx::mad_lo_cc(x[j], high, odd_[j]);
      odd_[j + 1] = ptx::madc_hi_cc(x[j], high, odd_[j + 1]);
    }
    odd_[8] = ptx::addc(odd_[8], 0);
#pragma unroll
    for (int j = 0; j < 8; j += 2) {
      even_[j + 2] =
          j ? ptx::madc_lo_cc(x[j + 1], high, even_[j + 2]) : ptx::mad_lo_cc(x[j + 1], high, even_[j + 2]);
      even_[j + 3] =
          j < 6 ? ptx::madc_hi_cc(x[j + 1], high, even_[j + 3]) : ptx::madc_hi(x[j + 1], high, even_[j + 3]);
    }
  }
  __device__ __forceinline__ Fr lower() const {
    uint32_t t[10], r[8];
    join(t);
    (void)ptx::reduce<FrParams, 2>(r, t);  // the sum is below 2^64 p
    ptx::subtract_once<FrParams>(r);
    Fr out;
    ptx::join<8>(out.v, r);
    return out;
  }
  // The sum itself mod p, for sums below 2^32 p. Of T = k p + rest, k follows from the upper 64 bits h of T:
  // (h m) >> 95 with m = floor(2^318 / p) is k or k - 1, as both roundings together cost less than one.
  __device__ __forceinline__ Fr modulo() const {
    constexpr uint64_t kInverse = quotient_of_two_to<FrParams>(318);
    uint32_t t[10], E[8], O[8], r[8], p[8];
    join(t);
    const uint64_t upper = static_cast<uint64_t>(t[8]) << 33 | static_cast<uint64_t>(t[7]) << 1 | t[6] >> 31;
    const uint32_t k = static_cast<uint32_t>(__umul64hi(upper, kInverse) >> 31);
#pragma unroll
    for (int i = 0; i < 8; ++i) p[i] = ptx::Modulus<FrParams>::limb(i);
    ptx::first_row<8>(E, O, p, k);
    E[1] = ptx::add_cc(E[1], O[0]);
#pragma unroll
    for (int i = 2; i < 7; ++i) E[i] = ptx::addc_cc(E[i], O[i - 1]);
    E[7] = ptx::addc(E[7], O[6]);
    r[0] = ptx::sub_cc(t[0], E[0]);
#pragma unroll
    for (int i = 1; i < 7; ++i) r[i] = ptx::subc_cc(t[i], E[i]);
    r[7] = ptx::subc(t[7], E[7]);
    ptx::subtract_once<FrParams>(r);
    Fr out;
    ptx::join<8>(out.v, r);
    return out;
  }

 private:
  __device__ __forceinline__ void join(uint32_t* t) const {
    t[0] = even_[0];
    t[1] = ptx::add_cc(even_[1], odd_[0]);
#pragma unroll
    for (int i = 2; i < 9; ++i) t[i] = ptx::addc_cc(even_[i], odd_[i - 1]);
    t[9] = ptx::addc(even_[9], odd_[8]);
  }

  uint32_t even_[10], odd_[10];  // limb k of odd has weight 2^(32 (k + 1))
};

// n a + m b for 32-bit integers.
__device__ __forceinline__ Fr integer_combination(int32_t n, const Fr& a, int32_t m, const Fr& b) {
  SmallSum sum(Fr::zero());
  sum.add(n < 0 ? 0u - static_cast<uint32_t>(n) : static_cast<uint32_t>(n), n < 0 ? -a : a);
  sum.add(m < 0 ? 0u - static_cast<uint32_t>(m) : static_cast<uint32_t>(m), m < 0 ? -b : b);
  return sum.modulo();
}

// Entries made unsigned by half their range; 64-bit ones stay wide.
template <class T>
__device__ __forceinline__ auto shifted(T x) {
  if constexpr (sizeof(T) == 8) {
    return biased(x);
  } else {
    return static_cast<uint32_t>(static_cast<int32_t>(x)) + (1u << kBiasBits<T>);
  }
}

template <class T>
__device__ __forceinline__ Fr entry(T x) {
  constexpr Fr start = -two_to<64 + kBiasBits<T>>();
  constexpr Fr unit = two_to<64>();
  SmallSum sum(start);
  sum.add(shifted(x), unit);
  return sum.lower();
}

// Calls fn with the column's entry i in its own type; the branch is the same for all threads.
template <class Fn>
__device__ __forceinline__ auto with_entry(ColumnType type, const void* data, size_t i, Fn&& fn) {
  switch (type) {
    case ColumnType::kInt8:
      return fn(static_cast<const int8_t*>(data)[i]);
    case ColumnType::kInt16:
      return fn(static_cast<const int16_t*>(data)[i]);
    case ColumnType::kInt32:
      return fn(static_cast<const int32_t*>(data)[i]);
    default:
      return fn(static_cast<const int64_t*>(data)[i]);
  }
}

// Any column's entry as a field element.
__device__ __forceinline__ Fr field_entry(ColumnType type, const void* data, size_t i) {
  if (type == ColumnType::kField) return load_once(static_cast<const Fr*>(data) + i);
  return with_entry(type, data, i, [](auto x) { return entry(x); });
}

}  // namespace zkcore::cuda
