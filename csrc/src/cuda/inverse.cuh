// Modular inverse of one thread by division steps (Bernstein-Yang, eprint 2019/266), in batches of 30 and in
// constant time, so that the threads of a warp stay together. Integers are signed, in limbs of 30 bits; d and
// e grow by at most p/2 a batch, which the spare bits of the limbs hold, and are settled at the end.
#pragma once

#include "cuda/device.cuh"

namespace zkcore::cuda {
namespace divsteps {

constexpr uint32_t kMask = 0x3fffffffu;

// Bits [30 i, 30 i + 30) of an integer of N 32-bit limbs; the top piece holds what is left.
template <int N>
__device__ constexpr uint32_t piece(const uint32_t* limbs, int i) {
  const int word = 30 * i / 32;
  const int shift = 30 * i % 32;
  uint64_t x = word < N ? limbs[word] : 0u;
  if (word + 1 < N) x |= static_cast<uint64_t>(limbs[word + 1]) << 32;
  return static_cast<uint32_t>(x >> shift) & kMask;
}

struct Matrix {
  int32_t u, v, q, r;
};

// 30 steps on the low bits of f (odd) and g; delta is the usual one less 1/2.
__device__ __forceinline__ Matrix batch(int32_t& delta, uint32_t f, uint32_t g) {
  Matrix m{1, 0, 0, 1};
#pragma unroll 6
  for (int k = 0; k < 30; ++k) {
    const bool odd = g & 1;
    const bool swap = odd && delta >= 0;
    const uint32_t new_f = swap ? g : f;
    const int32_t new_u = swap ? m.q : m.u;
    const int32_t new_v = swap ? m.r : m.v;
    const uint32_t other_f = swap ? 0u - f : f;
    const int32_t other_u = swap ? -m.u : m.u;
    const int32_t other_v = swap ? -m.v : m.v;
    if (odd) {
      g += other_f;
      m.q += other_u;
      m.r += other_v;
    }
    g >>= 1;
    f = new_f;
    m.u = static_cast<int32_t>(static_cast<uint32_t>(new_u) << 1);
    m.v = static_cast<int32_t>(static_cast<uint32_t>(new_v) << 1);
    delta = swap ? -delta : delta + 1;
  }
  return m;
}

// (f, g) <- m (f, g) / 2^30, exactly.
template <int L>
__device__ __forceinline__ void update_fg(int32_t* f, int32_t* g, const Matrix& m) {
  int64_t cf = static_cast<int64_t>(m.u) * f[0] + static_cast<int64_t>(m.v) * g[0];
  int64_t cg = static_cast<int64_t>(m.q) * f[0] + static_cast<int64_t>(m.r) * g[0];
  cf >>= 30;
  cg >>= 30;
#pragma unroll
  for (int i = 1; i < L; ++i) {
    cf += static_cast<int64_t>(m.u) * f[i] + static_cast<int64_t>(m.v) * g[i];
    cg += static_cast<int64_t>(m.q) * f[i] + static_cast<int64_t>(m.r) * g[i];
    f[i - 1] = static_cast<int32_t>(static_cast<uint32_t>(cf) & kMask);
    g[i - 1] = static_cast<int32_t>(static_cast<uint32_t>(cg) & kMask);
    cf >>= 30;
    cg >>= 30;
  }
  f[L - 1] = static_cast<int32_t>(cf);
  g[L - 1] = static_cast<int32_t>(cg);
}

// x centred modulo 2^30.
__device__ __forceinline__ int32_t centred(uint32_t x) { return static_cast<int32_t>(x << 2) >> 2; }

// (d, e) <- (m (d, e) + multiples of p) / 2^30.
template <int L>
__device__ __forceinline__ void update_de(int32_t* d, int32_t* e, const Matrix& m, const int32_t* p,
                                          uint32_t minus_p_inverse) {
  int64_t cd = static_cast<int64_t>(m.u) * d[0] + static_cast<int64_t>(m.v) * e[0];
  int64_t ce = static_cast<int64_t>(m.q) * d[0] + static_cast<int64_t>(m.r) * e[0];
  const int32_t md = centred(static_cast<uint32_t>(cd) * minus_p_inverse);
  const int32_t me = centred(static_cast<uint32_t>(ce) * minus_p_inverse);
  cd += static_cast<int64_t>(md) * p[0];
  ce += static_cast<int64_t>(me) * p[0];
  cd >>= 30;
  ce >>= 30;
#pragma unroll
  for (int i = 1; i < L; ++i) {
    cd += static_cast<int64_t>(m.u) * d[i] + static_cast<int64_t>(m.v) * e[i];
    ce += static_cast<int64_t>(m.q) * d[i] + static_cast<int64_t>(m.r) * e[i];
    cd += static_cast<int64_t>(md) * p[i];
    ce += static_cast<int64_t>(me) * p[i];
    d[i - 1] = static_cast<int32_t>(static_cast<uint32_t>(cd) & kMask);
    e[i - 1] = static_cast<int32_t>(static_cast<uint32_t>(ce) & kMask);
    cd >>= 30;
    ce >>= 30;
  }
  d[L - 1] = static_cast<int32_t>(cd);
  e[L - 1] = static_cast<int32_t>(ce);
}

// w[N + 1] -= p * 2^shift if it fits.
template <class Params>
__device__ __forceinline__ void subtract_shifted(uint32_t* w, int shift) {
  using P = ptx::Modulus<Params>;
  constexpr int N = P::N;
  uint32_t t[N + 1];
  t[0] = ptx::sub_cc(w[0], P::limb(0) << shift);
#pragma unroll
  for (int i = 1; i <= N; ++i) {
    const uint64_t pair = static_cast<uint64_t>(i < N ? P::limb(i) : 0u) << 32 | P::limb(i - 1);
    t[i] = ptx::subc_cc(w[i], static_cast<uint32_t>(pair << shift >> 32));
  }
  const uint32_t borrow = ptx::subc(0, 0);
#pragma unroll
  for (int i = 0; i <= N; ++i) w[i] = borrow ? w[i] : t[i];
}

}  // namespace divsteps

// 1/x in Montgomery form; zero for zero.
template <class Params>
__device__ Field<Params> inverse_in_step(const Field<Params>& x) {
  using P = ptx::Modulus<Params>;
  constexpr int N = P::N;
  constexpr int L = (32 * N + 29) / 30;
  constexpr int kBatches = ((45907 * (32 * N - 1) + 26313) / 19929 + 29) / 30;
  uint32_t limbs[N];
  int32_t f[L], g[L], d[L], e[L], p[L];
#pragma unroll
  for (int i = 0; i < N; ++i) limbs[i] = P::limb(i);
#pragma unroll
  for (int i = 0; i < L; ++i) {
    p[i] = f[i] = static_cast<int32_t>(divsteps::piece<N>(limbs, i));
    d[i] = 0;
  }
  constexpr Field<Params> start = Field<Params>::r_squared();  // e / x: x = a 2^(32 N) becomes 2^(32 N) / a
  ptx::split<N>(limbs, start.v);
#pragma unroll
  for (int i = 0; i < L; ++i) e[i] = static_cast<int32_t>(divsteps::piece<N>(limbs, i));
  ptx::split<N>(limbs, x.v);
#pragma unroll
  for (int i = 0; i < L; ++i) g[i] = static_cast<int32_t>(divsteps::piece<N>(limbs, i));

  int32_t delta = 0;
#pragma unroll 1
  for (int i = 0; i < kBatches; ++i) {
    const uint32_t low_f = static_cast<uint32_t>(f[0]) | static_cast<uint32_t>(f[1]) << 30;
    const uint32_t low_g = static_cast<uint32_t>(g[0]) | static_cast<uint32_t>(g[1]) << 30;
    const divsteps::Matrix m = divsteps::batch(delta, low_f, low_g);
    divsteps::update_fg<L>(f, g, m);
    divsteps::update_de<L>(d, e, m, p, P::kFactor);
  }
  // f is 1 or -1 (p or -p for x = 0) and d = f * result mod p, |d| < 32 p.
  const bool negative = f[L - 1] < 0;
  uint32_t pieces[L + 2];
  int64_t carry = 0;
#pragma unroll
  for (int i = 0; i < L; ++i) {
    const int64_t t =
        (negative ? -static_cast<int64_t>(d[i]) : d[i]) + static_cast<int64_t>(p[i]) * 32 + carry;
    pieces[i] = static_cast<uint32_t>(t) & divsteps::kMask;
    carry = t >> 30;
  }
  pieces[L] = static_cast<uint32_t>(carry);
  pieces[L + 1] = 0;
  uint32_t w[N + 1];
#pragma unroll
  for (int i = 0; i <= N; ++i) {
    const int first = 32 * i / 30;
    const int offset = 32 * i % 30;
    uint64_t t = 0;
    if (first <= L) t = pieces[first] | static_cast<uint64_t>(pieces[first + 1]) << 30;
    w[i] = static_cast<uint32_t>(t >> offset);
    if (offset > 28 && first + 2 <= L) w[i] |= pieces[first + 2] << (60 - offset);
  }
#pragma unroll 1
  for (int shift = 5; shift >= 0; --shift) divsteps::subtract_shifted<Params>(w, shift);
  Field<Params> r;
  ptx::join<N>(r.v, w);
  return r;
}

}  // namespace zkcore::cuda
