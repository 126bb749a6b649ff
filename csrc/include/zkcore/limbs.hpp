// Fixed-size little-endian integers of N 64-bit limbs: the carries and borrows below the field.
#pragma once

#include "zkcore/platform.hpp"

namespace zkcore {

template <int N>
struct Limbs {
  uint64_t v[N];
};

// a + b + carry; carry is 0 or 1 and becomes the carry out.
ZK_HD ZK_INLINE constexpr uint64_t add_carry(uint64_t a, uint64_t b, uint64_t& carry) {
#if ZK_X86_CARRY
  if (!__builtin_is_constant_evaluated()) {
    unsigned long long sum;  // NOLINT: the intrinsic's type
    carry = __builtin_ia32_addcarryx_u64(static_cast<unsigned char>(carry), a, b, &sum);
    return sum;
  }
#endif
  const u128 t = static_cast<u128>(a) + b + carry;
  carry = static_cast<uint64_t>(t >> 64);
  return static_cast<uint64_t>(t);
}

// a - b - borrow; borrow is 0 or 1 and becomes the borrow out.
ZK_HD ZK_INLINE constexpr uint64_t sub_borrow(uint64_t a, uint64_t b, uint64_t& borrow) {
#if ZK_X86_CARRY
  if (!__builtin_is_constant_evaluated()) {
    unsigned long long difference;  // NOLINT: the intrinsic's type
    borrow = __builtin_ia32_sbb_u64(static_cast<unsigned char>(borrow), a, b, &difference);
    return difference;
  }
#endif
  const u128 t = static_cast<u128>(a) - b - borrow;
  borrow = static_cast<uint64_t>(t >> 64) & 1;
  return static_cast<uint64_t>(t);
}

// Low limb of a * b + c + carry (which cannot overflow 128 bits); carry becomes the high limb.
ZK_HD ZK_INLINE constexpr uint64_t mul_add(uint64_t a, uint64_t b, uint64_t c, uint64_t& carry) {
  const u128 t = static_cast<u128>(a) * b + c + carry;
  carry = static_cast<uint64_t>(t >> 64);
  return static_cast<uint64_t>(t);
}

template <int N>
ZK_HD constexpr bool less_than(const uint64_t* a, const uint64_t* b) {
  uint64_t borrow = 0;
  for (int i = 0; i < N; ++i) (void)sub_borrow(a[i], b[i], borrow);
  return borrow != 0;
}

}  // namespace zkcore
