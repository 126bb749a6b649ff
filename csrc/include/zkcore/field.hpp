// Prime fields on 64-bit limbs in Montgomery form: x is stored as x * 2^(64 N) mod p, always reduced.
//
// Fr is the scalar field of BLS12-381 (the order of G1), Fq its base field. Both types are plain arrays of
// limbs: numpy's uint64 [..., 4] and [..., 6] are read and written in place. Everything here also compiles as
// device code.
//
// Multiplication interleaves product and reduction (CIOS, Koc-Acar-Kaliski 1996). Both moduli leave the top
// bit of the top limb free, so the partial sums, bounded by 2p, never carry out of N limbs.
#pragma once

#include "zkcore/limbs.hpp"
#if ZK_X86_ADX
#include "zkcore/field_x86.hpp"
#endif
#ifdef ZK_PTX
#include "zkcore/field_ptx.hpp"
#endif

namespace zkcore {

struct FrParams {
  static constexpr int kLimbs = 4;
  static constexpr int kBits = 255;
  // 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001
  ZK_HD static constexpr Limbs<4> modulus() {
    return {{0xffffffff00000001, 0x53bda402fffe5bfe, 0x3339d80809a1d805, 0x73eda753299d7d48}};
  }
};

struct FqParams {
  static constexpr int kLimbs = 6;
  static constexpr int kBits = 381;
  // 0x1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab
  ZK_HD static constexpr Limbs<6> modulus() {
    return {{0xb9feffffffffaaab, 0x1eabfffeb153ffff, 0x6730d2a0f6b0f624, 0x64774b84f38512bf,
             0x4b1ba7b6434bacd7, 0x1a0111ea397fe69a}};
  }
};

namespace detail {

// -p^-1 mod 2^64 by Newton's iteration, which doubles the number of correct low bits.
template <class Params>
ZK_HD constexpr uint64_t montgomery_factor() {
  const uint64_t p = Params::modulus().v[0];
  uint64_t inverse = 1;
  for (int i = 0; i < 6; ++i) inverse *= 2 - p * inverse;
  return ~inverse + 1;
}

// 2^exponent mod p by doubling; compile time only.
template <class Params>
ZK_HD constexpr Limbs<Params::kLimbs> power_of_two(int exponent) {
  constexpr int N = Params::kLimbs;
  constexpr Limbs<N> p = Params::modulus();
  Limbs<N> r{};
  r.v[0] = 1;
  for (int k = 0; k < exponent; ++k) {
    uint64_t carry = 0;
    for (int i = 0; i < N; ++i) r.v[i] = add_carry(r.v[i], r.v[i], carry);
    if (less_than<N>(r.v, p.v)) continue;
    uint64_t borrow = 0;
    for (int i = 0; i < N; ++i) r.v[i] = sub_borrow(r.v[i], p.v[i], borrow);
  }
  return r;
}

// The modulus in memory, for operands of host instructions.
template <class Params>
inline constexpr Limbs<Params::kLimbs> kModulus = Params::modulus();

}  // namespace detail

template <class Params>
struct Field {
  static constexpr int N = Params::kLimbs;
  static constexpr int kBits = Params::kBits;
  static constexpr size_t kBytes = 8 * N;

  uint64_t v[N];

  // ---- constants

  ZK_HD static constexpr Limbs<N> modulus() { return Params::modulus(); }
  ZK_HD static constexpr Field zero() { return Field{}; }
  ZK_HD static constexpr Field one() {
    constexpr Limbs<N> r = detail::power_of_two<Params>(64 * N);
    return from_limbs(r);
  }
  // 2^(128 N) mod p as raw limbs: the multiplier that takes an integer to Montgomery form.
  ZK_HD static constexpr Field r_squared() {
    constexpr Limbs<N> r2 = detail::power_of_two<Params>(128 * N);
    return from_limbs(r2);
  }
  // Raw limbs, no conversion.
  ZK_HD static constexpr Field from_limbs(const Limbs<N>& limbs) {
    Field r{};
    ZK_UNROLL
    for (int i = 0; i < N; ++i) r.v[i] = limbs.v[i];
    return r;
  }

  // ---- predicates

  ZK_HD ZK_INLINE constexpr bool is_zero() const {
    uint64_t any = 0;
    ZK_UNROLL
    for (int i = 0; i < N; ++i) any |= v[i];
    return any == 0;
  }
  ZK_HD ZK_INLINE constexpr bool operator==(const Field& b) const {
    uint64_t any = 0;
    ZK_UNROLL
    for (int i = 0; i < N; ++i) any |= v[i] ^ b.v[i];
    return any == 0;
  }
  ZK_HD ZK_INLINE constexpr bool operator!=(const Field& b) const { return !(*this == b); }

  // ---- additive

  ZK_HD ZK_INLINE constexpr Field operator+(const Field& b) const {
    Field r{};
#if ZK_PTX_CODE
    if (!__builtin_is_constant_evaluated()) {
      ptx::add<Params>(r.v, v, b.v);
      return r;
    }
#endif
    uint64_t carry = 0;
    ZK_UNROLL
    for (int i = 0; i < N; ++i) r.v[i] = add_carry(v[i], b.v[i], carry);
    return r.reduced_once();
  }
  ZK_HD ZK_INLINE constexpr Field operator-(const Field& b) const {
    constexpr Limbs<N> p = Params::modulus();
    Field r{};
#if ZK_PTX_CODE
    if (!__builtin_is_constant_evaluated()) {
      ptx::sub<Params>(r.v, v, b.v);
      return r;
    }
#endif
    uint64_t borrow = 0;
    ZK_UNROLL
    for (int i = 0; i < N; ++i) r.v[i] = sub_borrow(v[i], b.v[i], borrow);
    const uint64_t mask = ~borrow + 1;
    uint64_t carry = 0;
    ZK_UNROLL
    for (int i = 0; i < N; ++i) r.v[i] = add_carry(r.v[i], p.v[i] & mask, carry);
    return r;
  }
  ZK_HD ZK_INLINE constexpr Field operator-() const { return zero() - *this; }
  ZK_HD ZK_INLINE constexpr Field dbl() const { return *this + *this; }
  ZK_HD ZK_INLINE constexpr Field& operator+=(const Field& b) { return *this = *this + b; }
  ZK_HD ZK_INLINE constexpr Field& operator-=(const Field& b) { return *this = *this - b; }

  // ---- multiplicative

  ZK_HD ZK_INLINE Field operator*(const Field& b) const { return mul_wide(*this, b); }
  ZK_HD ZK_INLINE Field& operator*=(const Field& b) { return *this = *this * b; }
  ZK_HD ZK_INLINE Field sqr() const { return *this * *this; }

  // Montgomery product a * b / 2^(64 N) mod p. `a` must be reduced; `b` may be any N-limb integer.
  ZK_HD static ZK_INLINE Field mul_wide(const Field& a, const Field& b) {
    constexpr uint64_t factor = detail::montgomery_factor<Params>();
#if ZK_PTX_CODE
    Field r;
    ptx::montgomery_mul<Params>(r.v, a.v, b.v);
    return r;
#elif ZK_X86_ADX
    Field r;
    x86::montgomery_mul<N, factor>(r.v, a.v, b.v, detail::kModulus<Params>.v);
    return r.reduced_once();
#else
    constexpr Limbs<N> p = Params::modulus();
    uint64_t t[N] = {};
    ZK_UNROLL
    for (int i = 0; i < N; ++i) {
      uint64_t carry_ab = 0;
      uint64_t carry_mp = 0;
      t[0] = mul_add(a.v[0], b.v[i], t[0], carry_ab);
      const uint64_t m = t[0] * factor;
      (void)mul_add(m, p.v[0], t[0], carry_mp);
      ZK_UNROLL
      for (int j = 1; j < N; ++j) {
        t[j] = mul_add(a.v[j], b.v[i], t[j], carry_ab);
        t[j - 1] = mul_add(m, p.v[j], t[j], carry_mp);
      }
      t[N - 1] = carry_ab + carry_mp;
    }
    Field r;
    ZK_UNROLL
    for (int i = 0; i < N; ++i) r.v[i] = t[i];
    return r.reduced_once();
#endif
  }

  // Exponent as `count` little-endian limbs; time depends on the exponent.
  ZK_HD Field pow(const uint64_t* exponent, int count) const {
    Field r = one();
    for (int i = 64 * count - 1; i >= 0; --i) {
      r = r.sqr();
      if ((exponent[i / 64] >> (i % 64)) & 1) r *= *this;
    }
    return r;
  }
  ZK_HD Field pow(uint64_t exponent) const { return pow(&exponent, 1); }

  // 1/x; zero for zero. Fermat: x^(p-2). `inverse` in inverse.hpp is faster.
  ZK_HD Field inverse_fermat() const {
    Limbs<N> e = Params::modulus();
    e.v[0] -= 2;  // no borrow: the low limbs of both moduli are large
    return pow(e.v, N);
  }

  // ---- conversions

  // The integer in [0, p) as N limbs.
  ZK_HD Limbs<N> to_limbs() const {
    Field unit{};
    unit.v[0] = 1;
    const Field r = mul_wide(unit, *this);
    Limbs<N> out;
    ZK_UNROLL
    for (int i = 0; i < N; ++i) out.v[i] = r.v[i];
    return out;
  }
  // Any N-limb integer, reduced mod p.
  ZK_HD static Field from_integer(const Limbs<N>& limbs) { return mul_wide(r_squared(), from_limbs(limbs)); }
  ZK_HD static Field from_uint64(uint64_t x) {
    Limbs<N> limbs{};
    limbs.v[0] = x;
    return from_integer(limbs);
  }
  // Negative x stands for p - |x|.
  ZK_HD static Field from_int64(int64_t x) {
    const uint64_t magnitude = x < 0 ? ~static_cast<uint64_t>(x) + 1 : static_cast<uint64_t>(x);
    const Field r = from_uint64(magnitude);
    return x < 0 ? -r : r;
  }

  ZK_HD void to_bytes_le(uint8_t* out) const {
    const Limbs<N> limbs = to_limbs();
    for (size_t i = 0; i < kBytes; ++i) out[i] = static_cast<uint8_t>(limbs.v[i / 8] >> (8 * (i % 8)));
  }
  // False, with `out` untouched, unless the integer is below p.
  ZK_HD static bool from_bytes_le(const uint8_t* in, Field& out) {
    Limbs<N> limbs{};
    for (size_t i = 0; i < kBytes; ++i) limbs.v[i / 8] |= static_cast<uint64_t>(in[i]) << (8 * (i % 8));
    const Limbs<N> p = Params::modulus();
    if (!less_than<N>(limbs.v, p.v)) return false;
    out = from_integer(limbs);
    return true;
  }

  // Subtracts p if the limbs, below 2p, are not below p. Without a branch: the outcome is unpredictable.
  ZK_HD ZK_INLINE constexpr Field reduced_once() const {
    constexpr Limbs<N> p = Params::modulus();
    Field r{};
    uint64_t borrow = 0;
    ZK_UNROLL
    for (int i = 0; i < N; ++i) r.v[i] = sub_borrow(v[i], p.v[i], borrow);
    ZK_UNROLL
    for (int i = 0; i < N; ++i) r.v[i] = borrow ? v[i] : r.v[i];
    return r;
  }
};

using Fr = Field<FrParams>;
using Fq = Field<FqParams>;

static_assert(sizeof(Fr) == 32 && alignof(Fr) == 8 && sizeof(Fq) == 48 && alignof(Fq) == 8);

// ---- sums with delayed reduction

// Sum of (signed 64-bit integer) * (field element), kept as one two's-complement integer of N + 2 limbs and
// reduced once at the end: a term costs N limb products instead of a Montgomery product. Good for 2^63 terms.
//
//   WideAcc<Fr> acc;
//   for (...) acc.add(integer[i], weight[i]);
//   Fr sum = acc.reduce();
template <class F>
struct WideAcc {
  static constexpr int N = F::N;
  uint64_t v[N + 2] = {};

  ZK_HD ZK_INLINE void add(int64_t x, const F& a) {
    if (x < 0) {
      sub_product(~static_cast<uint64_t>(x) + 1, a);
    } else {
      add_product(static_cast<uint64_t>(x), a);
    }
  }
  ZK_HD ZK_INLINE void add_product(uint64_t x, const F& a) {
    uint64_t carry = 0;
    ZK_UNROLL
    for (int i = 0; i < N; ++i) v[i] = mul_add(x, a.v[i], v[i], carry);
    uint64_t bit = 0;
    v[N] = add_carry(v[N], carry, bit);
    v[N + 1] += bit;
  }
  ZK_HD ZK_INLINE void sub_product(uint64_t x, const F& a) {
    uint64_t high = 0;
    uint64_t borrow = 0;
    ZK_UNROLL
    for (int i = 0; i < N; ++i) {
      const uint64_t low = mul_add(x, a.v[i], 0, high);
      v[i] = sub_borrow(v[i], low, borrow);
    }
    v[N] = sub_borrow(v[N], high, borrow);
    v[N + 1] -= borrow;
  }
  ZK_HD ZK_INLINE void add(const WideAcc& other) {
    uint64_t carry = 0;
    ZK_UNROLL
    for (int i = 0; i < N + 2; ++i) v[i] = add_carry(v[i], other.v[i], carry);
  }
  // Writes the sum as low + high * 2^(64 N): the second term is a Montgomery product of high by 2^(128 N).
  ZK_HD F reduce() const {
    const bool negative = v[N + 1] >> 63;
    const uint64_t mask = negative ? ~uint64_t{0} : 0;
    uint64_t carry = negative;
    F low{};
    F high{};
    for (int i = 0; i < N; ++i) low.v[i] = add_carry(v[i] ^ mask, 0, carry);
    for (int i = 0; i < 2; ++i) high.v[i] = add_carry(v[N + i] ^ mask, 0, carry);
    const F sum = F::mul_wide(F::one(), low) + F::mul_wide(F::r_squared(), high);
    return negative ? -sum : sum;
  }
};

// Sum of products of field elements, kept as an integer of 2N + 1 limbs: half of a Montgomery product is
// delayed to the end. Good for 2^64 terms.
template <class F>
struct ProductAcc {
  static constexpr int N = F::N;
  uint64_t v[2 * N + 1] = {};

  ZK_HD ZK_INLINE void add(const F& a, const F& b) {
    uint64_t t[2 * N] = {};
    multiply(t, a, b);
    uint64_t carry = 0;
    ZK_UNROLL
    for (int i = 0; i < 2 * N; ++i) v[i] = add_carry(v[i], t[i], carry);
    v[2 * N] += carry;
  }
  // With B = 2^(64 N):  (low + mid B + top B^2) / B.
  ZK_HD F reduce() const {
    F low{}, mid{}, top{}, unit{};
    unit.v[0] = 1;
    for (int i = 0; i < N; ++i) low.v[i] = v[i];
    for (int i = 0; i < N; ++i) mid.v[i] = v[N + i];
    top.v[0] = v[2 * N];
    return F::mul_wide(unit, low) + F::mul_wide(F::one(), mid) + F::mul_wide(F::r_squared(), top);
  }

 private:
  // t = a * b as integers; t is zero before.
  ZK_HD static ZK_INLINE void multiply(uint64_t* t, const F& a, const F& b) {
#if ZK_X86_ADX
    if constexpr (N == 4) {
      x86::wide_mul4(t, a.v, b.v);
      return;
    }
#endif
    ZK_UNROLL
    for (int i = 0; i < N; ++i) {
      uint64_t carry = 0;
      ZK_UNROLL
      for (int j = 0; j < N; ++j) t[i + j] = mul_add(a.v[j], b.v[i], t[i + j], carry);
      t[i + N] = carry;
    }
  }
};

}  // namespace zkcore
