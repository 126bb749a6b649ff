#include "scalars.hpp"

namespace zkcore {

// In products of Fq: an affine addition takes 6, and a bucket two additions in the weighted sum of the
// buckets.
Windows Windows::choose(size_t width, int magnitude_bits, uint64_t largest) {
  constexpr uint64_t kAddition = 6;
  constexpr int kMostBits = 16;
  Windows best;
  uint64_t best_cost = ~uint64_t{0};
  const auto consider = [&](int bits, int count, uint32_t buckets) {
    const uint64_t cost = kAddition * count * (width + 2 * static_cast<uint64_t>(buckets)) +
                          static_cast<uint64_t>(count - 1) * (16 + 7 * bits);
    if (cost >= best_cost) return;
    best_cost = cost;
    best = Windows{bits, count, buckets};
  };
  if (magnitude_bits <= kMostBits) {
    consider(std::max(1, magnitude_bits), 1, static_cast<uint32_t>(std::max<uint64_t>(1, largest)));
  }
  // Digits reach from -2^(bits - 1) to 2^(bits - 1): `count` windows hold magnitudes up to 2^(bits count -
  // 1).
  const bool fits_limb = magnitude_bits <= 64;
  const uint64_t predecessor = largest - 1;
  const int needed = 1 + (fits_limb && largest > 0 ? bit_length(&predecessor, 1) : magnitude_bits);
  for (int bits = 2; bits <= kMostBits; ++bits) {
    const int count = (needed + bits - 1) / bits;
    if (count >= 2) consider(bits, count, uint32_t{1} << (bits - 1));
  }
  return best;
}

DigitRow::DigitRow(size_t width, const Windows& windows)
    : windows_(windows),
      limbs_(windows.bits * windows.count / 64 + 1),
      bias_(limbs_, 0),
      biased_(width * limbs_),
      negative_(width) {
  if (windows.count == 1) return;
  for (int t = 0; t < windows.count; ++t) {
    const int position = windows.bits * t + windows.bits - 1;
    bias_[position / 64] |= uint64_t{1} << (position % 64);
  }
}

std::vector<int8_t> wnaf(const uint64_t* magnitude, int limbs, int width) {
  std::vector<uint64_t> k(magnitude, magnitude + limbs);
  k.push_back(0);
  std::vector<int8_t> digits;
  while (bit_length(k.data(), limbs + 1) > 0) {
    int digit = 0;
    if (k[0] & 1) {
      digit = static_cast<int>(k[0] & ((1u << width) - 1));
      if (digit >= 1 << (width - 1)) digit -= 1 << width;
      // k -= digit
      uint64_t carry = 0;
      k[0] = digit > 0 ? sub_borrow(k[0], static_cast<uint64_t>(digit), carry)
                       : add_carry(k[0], static_cast<uint64_t>(-digit), carry);
      for (int i = 1; i <= limbs; ++i) {
        k[i] = digit > 0 ? sub_borrow(k[i], 0, carry) : add_carry(k[i], 0, carry);
      }
    }
    digits.push_back(static_cast<int8_t>(digit));
    for (int i = 0; i < limbs; ++i) k[i] = k[i] >> 1 | k[i + 1] << 63;
    k[limbs] >>= 1;
  }
  return digits;
}

// Schoolbook division, bit by bit: the remainder stays below 2 z < 2^129.
HalfScalars split_scalar(const Limbs<4>& k) {
  constexpr u128 z = static_cast<u128>(0xd201000000010000) * 0xd201000000010000;
  u128 remainder = 0;
  u128 quotient = 0;
  for (int i = 255; i >= 0; --i) {
    const bool overflow = remainder >> 127;
    remainder = remainder << 1 | ((k.v[i / 64] >> (i % 64)) & 1);
    quotient <<= 1;
    if (overflow || remainder >= z) {
      remainder -= z;
      quotient |= 1;
    }
  }
  return {{static_cast<uint64_t>(remainder), static_cast<uint64_t>(remainder >> 64)},
          {static_cast<uint64_t>(quotient), static_cast<uint64_t>(quotient >> 64)}};
}

}  // namespace zkcore
