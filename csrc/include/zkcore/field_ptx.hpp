// Prime-field arithmetic of the GPU on even/odd carry chains, included by field.hpp only.
//
// A sum of partial products is held as two interleaved integers, E (limb k at weight 2^(32 k)) and O (limb k
// at weight 2^(32 (k + 1))): every 64-bit partial product then lands on an aligned pair of registers, and the
// low and high multiply-adds of a pair become one wide multiply-add with carry. Rows a * b_i and multiples of
// p are added in turn (CIOS); after each the integers swap roles, which divides by 2^32 without a move.
//
// Fr: p = 1 mod 2^32 makes the reduction's factor a negation and its lowest product a carry, and the second
// limb 2^32 - 1 costs no product either: 112 wide products instead of 128.
#pragma once

#include "zkcore/limbs.hpp"
#include "zkcore/ptx.hpp"

namespace zkcore::ptx {

template <class Params>
struct Modulus {
  static constexpr int N = 2 * Params::kLimbs;  // 32-bit limbs
  static constexpr Limbs<Params::kLimbs> kValue = Params::modulus();
  // -1/p mod 2^32 by Newton's iteration.
  static constexpr uint32_t factor() {
    const uint32_t p = static_cast<uint32_t>(Params::modulus().v[0]);
    uint32_t inverse = 1;
    for (int i = 0; i < 5; ++i) inverse *= 2 - p * inverse;
    return 0u - inverse;
  }
  static constexpr uint32_t kFactor = factor();
  static constexpr bool kOne = static_cast<uint32_t>(kValue.v[0]) == 1;  // lowest limb
  static constexpr bool kOneThenOnes = kOne && (kValue.v[0] >> 32) == 0xffffffffu;

  __device__ static constexpr uint32_t limb(int i) {
    return static_cast<uint32_t>(Params::modulus().v[i / 2] >> (32 * (i % 2)));
  }
  // The factor m that makes t + m p divisible by 2^32.
  __device__ __forceinline__ static uint32_t multiplier(uint32_t t) {
    return kFactor == 0xffffffffu ? opaque_zero() - t : t * kFactor;
  }
};

template <int N>
__device__ __forceinline__ void split(uint32_t* out, const uint64_t* in) {
#pragma unroll
  for (int i = 0; i < N; ++i) out[i] = static_cast<uint32_t>(in[i / 2] >> (32 * (i % 2)));
}
template <int N>
__device__ __forceinline__ void join(uint64_t* out, const uint32_t* in) {
#pragma unroll
  for (int i = 0; i < N / 2; ++i) out[i] = static_cast<uint64_t>(in[2 * i + 1]) << 32 | in[2 * i];
}

// r -= p if r >= p.
template <class Params>
__device__ __forceinline__ void subtract_once(uint32_t* r) {
  using P = Modulus<Params>;
  constexpr int N = P::N;
  uint32_t t[N];
  t[0] = sub_cc(r[0], P::limb(0));
#pragma unroll
  for (int i = 1; i < N; ++i) t[i] = subc_cc(r[i], P::limb(i));
  const uint32_t borrow = subc(0, 0);
#pragma unroll
  for (int i = 0; i < N; ++i) r[i] = borrow ? r[i] : t[i];
}

// The same for r + top * 2^(32 N).
template <class Params>
__device__ __forceinline__ void subtract_once(uint32_t* r, uint32_t& top) {
  using P = Modulus<Params>;
  constexpr int N = P::N;
  uint32_t t[N];
  t[0] = sub_cc(r[0], P::limb(0));
#pragma unroll
  for (int i = 1; i < N; ++i) t[i] = subc_cc(r[i], P::limb(i));
  const uint32_t rest = subc(top, 0);
  const bool fits = static_cast<int32_t>(rest) >= 0;
#pragma unroll
  for (int i = 0; i < N; ++i) r[i] = fits ? t[i] : r[i];
  top = fits ? rest : top;
}

template <class Params>
__device__ __forceinline__ void add(uint64_t* out, const uint64_t* x, const uint64_t* y) {
  constexpr int N = Modulus<Params>::N;
  uint32_t a[N], b[N], r[N];
  split<N>(a, x);
  split<N>(b, y);
  r[0] = add_cc(a[0], b[0]);
#pragma unroll
  for (int i = 1; i < N - 1; ++i) r[i] = addc_cc(a[i], b[i]);
  r[N - 1] = addc(a[N - 1], b[N - 1]);
  subtract_once<Params>(r);
  join<N>(out, r);
}

template <class Params>
__device__ __forceinline__ void sub(uint64_t* out, const uint64_t* x, const uint64_t* y) {
  using P = Modulus<Params>;
  constexpr int N = P::N;
  uint32_t a[N], b[N], r[N];
  split<N>(a, x);
  split<N>(b, y);
  r[0] = sub_cc(a[0], b[0]);
#pragma unroll
  for (int i = 1; i < N; ++i) r[i] = subc_cc(a[i], b[i]);
  const uint32_t mask = subc(0, 0);
  r[0] = add_cc(r[0], P::limb(0) & mask);
#pragma unroll
  for (int i = 1; i < N - 1; ++i) r[i] = addc_cc(r[i], P::limb(i) & mask);
  r[N - 1] = addc(r[N - 1], P::limb(N - 1) & mask);
  join<N>(out, r);
}

// ---- interleaved product and reduction

// (E, O) = a * b.
template <int N>
__device__ __forceinline__ void first_row(uint32_t* E, uint32_t* O, const uint32_t* a, uint32_t b) {
#pragma unroll
  for (int j = 0; j < N; j += 2) {
    E[j] = mul_lo(a[j], b);
    E[j + 1] = mul_hi(a[j], b);
    O[j] = mul_lo(a[j + 1], b);
    O[j + 1] = mul_hi(a[j + 1], b);
  }
}

// (E, O) += a * b, no shift.
template <int N>
__device__ __forceinline__ void add_row(uint32_t* E, uint32_t* O, const uint32_t* a, uint32_t b) {
#pragma unroll
  for (int j = 0; j < N; j += 2) {
    O[j] = j ? madc_lo_cc(a[j + 1], b, O[j]) : mad_lo_cc(a[j + 1], b, O[j]);
    O[j + 1] = j < N - 2 ? madc_hi_cc(a[j + 1], b, O[j + 1]) : madc_hi(a[j + 1], b, O[j + 1]);
  }
#pragma unroll
  for (int j = 0; j < N; j += 2) {
    E[j] = j ? madc_lo_cc(a[j], b, E[j]) : mad_lo_cc(a[j], b, E[j]);
    E[j + 1] = madc_hi_cc(a[j], b, E[j + 1]);
  }
  O[N - 1] = addc(O[N - 1], 0);
}

// The next row after a reduction: (E, O) holds the sum with E and O swapped, so O moves down by two limbs.
template <int N>
__device__ __forceinline__ void next_row(uint32_t* E, uint32_t* O, const uint32_t* a, uint32_t b) {
  E[0] = add_cc(E[0], O[1]);
#pragma unroll
  for (int j = 0; j < N - 2; j += 2) {
    O[j] = madc_lo_cc(a[j + 1], b, O[j + 2]);
    O[j + 1] = madc_hi_cc(a[j + 1], b, O[j + 3]);
  }
  O[N - 2] = madc_lo_cc(a[N - 1], b, 0);
  O[N - 1] = madc_hi(a[N - 1], b, 0);
  E[0] = mad_lo_cc(a[0], b, E[0]);
  E[1] = madc_hi_cc(a[0], b, E[1]);
#pragma unroll
  for (int j = 2; j < N; j += 2) {
    E[j] = madc_lo_cc(a[j], b, E[j]);
    E[j + 1] = madc_hi_cc(a[j], b, E[j + 1]);
  }
  O[N - 1] = addc(O[N - 1], 0);
}

// (E, O) += m p with m chosen so that the lowest limb becomes zero.
template <class Params>
__device__ __forceinline__ void reduce_row(uint32_t* E, uint32_t* O) {
  using P = Modulus<Params>;
  constexpr int N = P::N;
  const uint32_t t = E[0];
  uint32_t m;
  if constexpr (P::kOneThenOnes) {
    // m (2^32 - 1) = (m - 1, t) for m = -t, and (0, 0) for m = 0.
    m = sub_cc(opaque_zero(), t);
    const uint32_t high = subc(m, 0);
    O[0] = add_cc(O[0], t);
    O[1] = addc_cc(O[1], high);
  } else {
    m = P::multiplier(t);
    O[0] = mad_lo_cc(P::limb(1), m, O[0]);
    O[1] = madc_hi_cc(P::limb(1), m, O[1]);
  }
#pragma unroll
  for (int j = 2; j < N; j += 2) {
    O[j] = madc_lo_cc(P::limb(j + 1), m, O[j]);
    O[j + 1] = j < N - 2 ? madc_hi_cc(P::limb(j + 1), m, O[j + 1]) : madc_hi(P::limb(j + 1), m, O[j + 1]);
  }
  if constexpr (P::kOne) {
    (void)add_cc(E[0], m);
    E[1] = addc_cc(E[1], 0);
  } else {
    E[0] = mad_lo_cc(P::limb(0), m, E[0]);
    E[1] = madc_hi_cc(P::limb(0), m, E[1]);
  }
#pragma unroll
  for (int j = 2; j < N; j += 2) {
    E[j] = madc_lo_cc(P::limb(j), m, E[j]);
    E[j + 1] = madc_hi_cc(P::limb(j), m, E[j + 1]);
  }
  O[N - 1] = addc(O[N - 1], 0);
}

// The sum after the last reduction, whose lowest limb is zero.
template <int N>
__device__ __forceinline__ void last_row(uint32_t* r, const uint32_t* E, const uint32_t* O) {
  r[0] = add_cc(O[0], E[1]);
#pragma unroll
  for (int j = 1; j < N - 1; ++j) r[j] = addc_cc(O[j], E[j + 1]);
  r[N - 1] = addc(O[N - 1], 0);
}

// a * b / 2^(32 N) mod p; a < p, b any integer of N limbs.
template <class Params>
__device__ __forceinline__ void montgomery_mul(uint64_t* out, const uint64_t* x, const uint64_t* y) {
  constexpr int N = Modulus<Params>::N;
  uint32_t a[N], b[N], X[N], Y[N], r[N];
  split<N>(a, x);
  split<N>(b, y);
  first_row<N>(X, Y, a, b[0]);
  reduce_row<Params>(X, Y);
#pragma unroll
  for (int i = 1; i < N; ++i) {
    uint32_t* E = i % 2 ? Y : X;
    uint32_t* O = i % 2 ? X : Y;
    next_row<N>(E, O, a, b[i]);
    reduce_row<Params>(E, O);
  }
  last_row<N>(r, Y, X);
  subtract_once<Params>(r);
  join<N>(out, r);
}

// (a * b + c * d) / 2^(32 N) mod p with one reduction; all below p, and 3 p < 2^(32 N).
template <class Params>
__device__ __forceinline__ void montgomery_mul_add(uint64_t* out, const uint64_t* x, const uint64_t* y,
                                                   const uint64_t* z, const uint64_t* w) {
  constexpr int N = Modulus<Params>::N;
  uint32_t a[N], b[N], c[N], d[N], X[N], Y[N], r[N];
  split<N>(a, x);
  split<N>(b, y);
  split<N>(c, z);
  split<N>(d, w);
  first_row<N>(X, Y, a, b[0]);
  add_row<N>(X, Y, c, d[0]);
  reduce_row<Params>(X, Y);
#pragma unroll
  for (int i = 1; i < N; ++i) {
    uint32_t* E = i % 2 ? Y : X;
    uint32_t* O = i % 2 ? X : Y;
    next_row<N>(E, O, a, b[i]);
    add_row<N>(E, O, c, d[i]);
    reduce_row<Params>(E, O);
  }
  last_row<N>(r, Y, X);
  subtract_once<Params>(r);
  subtract_once<Params>(r);
  join<N>(out, r);
}

// ---- whole products, reduced apart

// t[A + B] = a[A] * b[B] as integers; A and B even.
template <int A, int B>
__device__ __forceinline__ void wide_mul(uint32_t* t, const uint32_t* a, const uint32_t* b) {
  uint32_t E[A + B], O[A + B];
#pragma unroll
  for (int i = 0; i < A + B; ++i) E[i] = O[i] = 0;
  first_row<A>(E, O, a, b[0]);
#pragma unroll
  for (int i = 1; i < B; ++i) {
    uint32_t* low = (i % 2 ? O : E) + (i % 2 ? i - 1 : i);
    uint32_t* high = (i % 2 ? E : O) + (i % 2 ? i + 1 : i);
#pragma unroll
    for (int j = 0; j < A; j += 2) {
      high[j] = j ? madc_lo_cc(a[j + 1], b[i], high[j]) : mad_lo_cc(a[j + 1], b[i], high[j]);
      high[j + 1] =
          j < A - 2 ? madc_hi_cc(a[j + 1], b[i], high[j + 1]) : madc_hi(a[j + 1], b[i], high[j + 1]);
    }
#pragma unroll
    for (int j = 0; j < A; j += 2) {
      low[j] = j ? madc_lo_cc(a[j], b[i], low[j]) : mad_lo_cc(a[j], b[i], low[j]);
      low[j + 1] = madc_hi_cc(a[j], b[i], low[j + 1]);
    }
    low[A] = addc(low[A], 0);
  }
  t[0] = E[0];
  t[1] = add_cc(E[1], O[0]);
#pragma unroll
  for (int k = 2; k < A + B - 1; ++k) t[k] = addc_cc(E[k], O[k - 1]);
  t[A + B - 1] = addc(E[A + B - 1], O[A + B - 2]);
}

// r[N] = T / 2^(32 K) mod p for T of N + K limbs, but not reduced; returns the limb above r. r + that limb is
// below T / 2^(32 K) + p.
template <class Params, int K>
__device__ __forceinline__ uint32_t reduce(uint32_t* r, const uint32_t* T) {
  using P = Modulus<Params>;
  constexpr int N = P::N;
  uint32_t X[N], Y[N];
#pragma unroll
  for (int i = 0; i < N; ++i) {
    X[i] = T[i];
    Y[i] = 0;
  }
  reduce_row<Params>(X, Y);
#pragma unroll
  for (int i = 1; i < K; ++i) {
    uint32_t* E = i % 2 ? Y : X;
    uint32_t* O = i % 2 ? X : Y;
    E[0] = add_cc(E[0], O[1]);  // the carry goes into the odd chain below
    const uint32_t t = E[0];
    const uint32_t m = P::multiplier(t);
#pragma unroll
    for (int j = 0; j < N; j += 2) {
      const uint32_t low = j < N - 2 ? O[j + 2] : T[N + i - 1];
      const uint32_t high = j < N - 2 ? O[j + 3] : 0u;
      if (P::kOneThenOnes && j == 0) {
        O[0] = addc_cc(low, t);
        O[1] = addc_cc(high, max(m, 1u) - 1u);
      } else {
        O[j] = madc_lo_cc(P::limb(j + 1), m, low);
        O[j + 1] = j < N - 2 ? madc_hi_cc(P::limb(j + 1), m, high) : madc_hi(P::limb(j + 1), m, high);
      }
    }
    if constexpr (P::kOne) {
      (void)add_cc(E[0], m);
      E[1] = addc_cc(E[1], 0);
    } else {
      E[0] = mad_lo_cc(P::limb(0), m, E[0]);
      E[1] = madc_hi_cc(P::limb(0), m, E[1]);
    }
#pragma unroll
    for (int j = 2; j < N; j += 2) {
      E[j] = madc_lo_cc(P::limb(j), m, E[j]);
      E[j + 1] = madc_hi_cc(P::limb(j), m, E[j + 1]);
    }
    O[N - 1] = addc(O[N - 1], 0);
  }
  const uint32_t* E = K % 2 ? X : Y;
  const uint32_t* O = K % 2 ? Y : X;
  r[0] = add_cc(O[0], E[1]);
#pragma unroll
  for (int j = 1; j < N - 1; ++j) r[j] = addc_cc(O[j], E[j + 1]);
  r[N - 1] = addc_cc(O[N - 1], T[N + K - 1]);
  return addc(0, 0);
}

// ---- sums of few limbs, reduced by two: integers E and O of nine limbs

// (sum, top) += (a0 + a1 2^64 + a2 2^128 + a3 2^192) b.
__device__ __forceinline__ void add_alternate(uint64_t (&sum)[4], uint32_t& top, uint32_t a0, uint32_t a1,
                                              uint32_t a2, uint32_t a3, uint32_t b) {
  asm volatile(
      "{\n\t.reg .u32 l, h;\n\t"
      "mov.b64 {l, h}, %0; mad.lo.cc.u32 l, %5, %9, l; madc.hi.cc.u32 h, %5, %9, h; mov.b64 %0, {l, h};\n\t"
      "mov.b64 {l, h}, %1; madc.lo.cc.u32 l, %6, %9, l; madc.hi.cc.u32 h, %6, %9, h; mov.b64 %1, {l, h};\n\t"
      "mov.b64 {l, h}, %2; madc.lo.cc.u32 l, %7, %9, l; madc.hi.cc.u32 h, %7, %9, h; mov.b64 %2, {l, h};\n\t"
      "mov.b64 {l, h}, %3; madc.lo.cc.u32 l, %8, %9, l; madc.hi.cc.u32 h, %8, %9, h; mov.b64 %3, {l, h};\n\t"
      "addc.u32 %4, %4, 0;\n\t}"
      : "+l"(sum[0]), "+l"(sum[1]), "+l"(sum[2]), "+l"(sum[3]), "+r"(top)
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b));
}

// (E, O) / 2^64 mod p, not reduced: below the sum / 2^64 + p, which is to be below 2^256. The field is Fr.
template <class Params>
__device__ __forceinline__ void reduce_two(uint32_t (&r)[8], uint32_t (&E)[9], uint32_t (&O)[9]) {
  using P = Modulus<Params>;
  static_assert(P::N == 8 && P::kOneThenOnes);
  uint32_t t = E[0];
  uint32_t m = sub_cc(opaque_zero(), t);  // m (2^32 - 1) = (m - 1, t), and (0, 0) for m = 0
  uint32_t high = subc(m, 0);
  O[0] = add_cc(O[0], t);
  O[1] = addc_cc(O[1], high);
#pragma unroll
  for (int j = 2; j < 8; j += 2) {
    O[j] = madc_lo_cc(P::limb(j + 1), m, O[j]);
    O[j + 1] = madc_hi_cc(P::limb(j + 1), m, O[j + 1]);
  }
  O[8] = addc(O[8], 0);
  (void)add_cc(E[0], m);
  E[1] = addc_cc(E[1], 0);
#pragma unroll
  for (int j = 2; j < 8; j += 2) {
    E[j] = madc_lo_cc(P::limb(j), m, E[j]);
    E[j + 1] = madc_hi_cc(P::limb(j), m, E[j + 1]);
  }
  E[8] = addc(E[8], 0);
  // Now O is the even one, and E, two limbs down, the odd one; E[1] joins O[0], whose carry E takes.
  O[0] = add_cc(O[0], E[1]);
  t = O[0];
  m = P::multiplier(t);
  E[0] = addc_cc(E[2], t);
  E[1] = addc_cc(E[3], max(m, 1u) - 1u);
#pragma unroll
  for (int j = 2; j < 6; j += 2) {
    E[j] = madc_lo_cc(P::limb(j + 1), m, E[j + 2]);
    E[j + 1] = madc_hi_cc(P::limb(j + 1), m, E[j + 3]);
  }
  E[6] = madc_lo_cc(P::limb(7), m, E[8]);
  E[7] = madc_hi(P::limb(7), m, 0);
  (void)add_cc(O[0], m);
  O[1] = addc_cc(O[1], 0);
#pragma unroll
  for (int j = 2; j < 8; j += 2) {
    O[j] = madc_lo_cc(P::limb(j), m, O[j]);
    O[j + 1] = madc_hi_cc(P::limb(j), m, O[j + 1]);
  }
  O[8] = addc(O[8], 0);
  r[0] = add_cc(E[0], O[1]);
#pragma unroll
  for (int j = 1; j < 7; ++j) r[j] = addc_cc(E[j], O[j + 1]);
  r[7] = addc(E[7], O[8]);
}

}  // namespace zkcore::ptx
