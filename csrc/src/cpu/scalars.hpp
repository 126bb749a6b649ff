// Scalars cut into signed digits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "zkcore/field.hpp"

namespace zkcore {

// A scalar as sign and magnitude; magnitudes of field elements are at most (r - 1) / 2.
struct SignedScalar {
  uint64_t magnitude[4];
  bool negative;
};

inline SignedScalar signed_scalar(const Fr& x) {
  SignedScalar s{};
  Limbs<4> plain = x.to_limbs();
  const Limbs<4> minus = (-x).to_limbs();
  s.negative = less_than<4>(minus.v, plain.v);
  std::copy_n(s.negative ? minus.v : plain.v, 4, s.magnitude);
  return s;
}

template <class Int>
SignedScalar signed_scalar_of_int(Int x) {
  SignedScalar s{};
  s.negative = x < 0;
  s.magnitude[0] =
      s.negative ? ~static_cast<uint64_t>(static_cast<int64_t>(x)) + 1 : static_cast<uint64_t>(x);
  return s;
}

inline int bit_length(const uint64_t* limbs, int count) {
  for (int i = count; i-- > 0;) {
    if (limbs[i]) return 64 * i + 64 - __builtin_clzll(limbs[i]);
  }
  return 0;
}

// How scalars are cut: `count` windows of `bits` bits, digits in [-buckets, buckets].
struct Windows {
  int bits = 1;
  int count = 1;
  uint32_t buckets = 1;

  // The cheapest cut for sums of `width` points with magnitudes of `magnitude_bits` bits (`largest`, if they
  // fit 64).
  static Windows choose(size_t width, int magnitude_bits, uint64_t largest);
};

// A row of scalars, each plus the bias sum_t 2^(bits t + bits - 1): digit t of the scalar is then window t of
// the biased magnitude minus 2^(bits - 1), without carries between windows. The top window is taken whole.
class DigitRow {
 public:
  DigitRow(size_t width, const Windows& windows);

  void set(size_t j, const SignedScalar& scalar);
  int32_t digit(size_t j, int window) const;
  size_t width() const { return negative_.size(); }

 private:
  Windows windows_;
  int limbs_;
  std::vector<uint64_t> bias_;
  std::vector<uint64_t> biased_;
  std::vector<uint8_t> negative_;
};

inline void DigitRow::set(size_t j, const SignedScalar& scalar) {
  uint64_t carry = 0;
  uint64_t* to = biased_.data() + j * limbs_;
  for (int i = 0; i < limbs_; ++i) {
    to[i] = add_carry(i < 4 ? scalar.magnitude[i] : 0, bias_[i], carry);
  }
  negative_[j] = scalar.negative;
}

inline int32_t DigitRow::digit(size_t j, int window) const {
  const uint64_t* from = biased_.data() + j * limbs_;
  const int position = window * windows_.bits;
  const int word = position / 64;
  const int shift = position % 64;
  uint64_t x = from[word] >> shift;
  if (shift + windows_.bits >= 64 && word + 1 < limbs_) x |= (from[word + 1] << 1) << (63 - shift);
  if (window + 1 < windows_.count) x &= (uint64_t{1} << windows_.bits) - 1;
  const int32_t half = windows_.count == 1 ? 0 : int32_t{1} << (windows_.bits - 1);
  const int32_t digit = static_cast<int32_t>(x) - half;
  return negative_[j] ? -digit : digit;
}

// Odd digits below 2^(width - 1) in absolute value, at least `width` - 1 zeros after each (width-w NAF).
std::vector<int8_t> wnaf(const uint64_t* magnitude, int limbs, int width);

// k = low + high * z with z = x^2, x the parameter of the curve: both halves are below 2^128. As [z] P =
// -phi(P) with the endomorphism phi(x, y) = (beta x, y), multiplying by k costs two multiplications of half
// length.
struct HalfScalars {
  uint64_t low[2];
  uint64_t high[2];
};
HalfScalars split_scalar(const Limbs<4>& k);

}  // namespace zkcore
