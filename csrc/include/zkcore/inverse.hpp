// Modular inverse by division steps (Bernstein-Yang, "Fast constant-time gcd computation and modular
// inversion", eprint 2019/266), in variable time: the inputs are no secrets of long standing and speed
// matters.
//
// 62 division steps depend only on the low 62 bits of f and g; their effect is a 2x2 matrix with entries
// below 2^62, applied to the long integers at once. Long integers are signed, in limbs of 62 bits, the top
// limb carrying the sign.
#pragma once

#include "zkcore/field.hpp"

namespace zkcore {
namespace detail {

constexpr int kDivsteps = 62;
constexpr uint64_t kMask62 = ~uint64_t{0} >> 2;

template <int M>
struct Signed62 {
  int64_t v[M];
};

struct DivstepMatrix {
  int64_t u, v, q, r;
};

template <int N, int M>
ZK_HD constexpr Signed62<M> to_signed62(const Limbs<N>& a) {
  Signed62<M> r{};
  for (int i = 0; i < M; ++i) {
    const int word = 62 * i / 64;
    const int shift = 62 * i % 64;
    uint64_t x = word < N ? a.v[word] >> shift : 0;
    if (shift > 0 && word + 1 < N) x |= a.v[word + 1] << (64 - shift);
    r.v[i] = static_cast<int64_t>(x & kMask62);
  }
  return r;
}

template <int N, int M>
ZK_HD Limbs<N> from_signed62(const Signed62<M>& a) {
  Limbs<N> r{};
  for (int i = 0; i < M; ++i) {
    const int word = 62 * i / 64;
    const int shift = 62 * i % 64;
    const uint64_t x = static_cast<uint64_t>(a.v[i]);
    if (word < N) r.v[word] |= x << shift;
    if (shift > 2 && word + 1 < N) r.v[word + 1] |= x >> (64 - shift);
  }
  return r;
}

// The matrix of 62 division steps from the low bits of f (odd) and g; delta is updated.
ZK_HD inline DivstepMatrix divsteps(int64_t& delta, uint64_t f, uint64_t g) {
  uint64_t u = 1, v = 0, q = 0, r = 1;
  int left = kDivsteps;
  for (;;) {
    // Steps with even g only halve it. The sentinel bit stops the count at the steps that are left.
#ifdef __CUDA_ARCH__
    const int zeros = __ffsll(static_cast<long long>(g | (~uint64_t{0} << left))) - 1;
#else
    const int zeros = __builtin_ctzll(g | (~uint64_t{0} << left));
#endif
    g >>= zeros;
    u <<= zeros;
    v <<= zeros;
    delta += zeros;
    left -= zeros;
    if (left == 0) break;
    if (delta > 0) {
      delta = -delta;
      uint64_t t = f;
      f = g, g = ~t + 1;
      t = u, u = q, q = ~t + 1;
      t = v, v = r, r = ~t + 1;
    }
    // While delta stays at most 0, g may absorb several multiples of f at once: w f cancels up to six low
    // bits of g. f (f^2 - 2) is -1/f mod 64.
    const int64_t room = 1 - delta;
    const int limit = room < left ? static_cast<int>(room) : left;
    const uint64_t mask = (~uint64_t{0} >> (64 - limit)) & 63;
    const uint64_t w = (f * g * (f * f - 2)) & mask;
    g += f * w;
    q += u * w;
    r += v * w;
  }
  return {static_cast<int64_t>(u), static_cast<int64_t>(v), static_cast<int64_t>(q), static_cast<int64_t>(r)};
}

// (f, g) <- matrix * (f, g) / 2^62, exactly.
template <int M>
ZK_HD void update_fg(Signed62<M>& f, Signed62<M>& g, const DivstepMatrix& t) {
  i128 cf = static_cast<i128>(t.u) * f.v[0] + static_cast<i128>(t.v) * g.v[0];
  i128 cg = static_cast<i128>(t.q) * f.v[0] + static_cast<i128>(t.r) * g.v[0];
  cf >>= 62;
  cg >>= 62;
  ZK_UNROLL
  for (int i = 1; i < M; ++i) {
    cf += static_cast<i128>(t.u) * f.v[i] + static_cast<i128>(t.v) * g.v[i];
    cg += static_cast<i128>(t.q) * f.v[i] + static_cast<i128>(t.r) * g.v[i];
    f.v[i - 1] = static_cast<int64_t>(static_cast<uint64_t>(cf) & kMask62);
    g.v[i - 1] = static_cast<int64_t>(static_cast<uint64_t>(cg) & kMask62);
    cf >>= 62;
    cg >>= 62;
  }
  f.v[M - 1] = static_cast<int64_t>(cf);
  g.v[M - 1] = static_cast<int64_t>(cg);
}

// (d, e) <- matrix * (d, e) / 2^62 mod p. In and out between -2p and p: the multiples md, me of p that make
// the division exact are taken in a range shifted up by the rows' negative inputs.
template <int M>
ZK_HD void update_de(Signed62<M>& d, Signed62<M>& e, const DivstepMatrix& t, const Signed62<M>& p,
                     uint64_t p_inverse) {
  const int64_t sign_d = d.v[M - 1] >> 63;
  const int64_t sign_e = e.v[M - 1] >> 63;
  int64_t md = (t.u & sign_d) + (t.v & sign_e);
  int64_t me = (t.q & sign_d) + (t.r & sign_e);
  i128 cd = static_cast<i128>(t.u) * d.v[0] + static_cast<i128>(t.v) * e.v[0];
  i128 ce = static_cast<i128>(t.q) * d.v[0] + static_cast<i128>(t.r) * e.v[0];
  md -= static_cast<int64_t>((p_inverse * static_cast<uint64_t>(cd) + static_cast<uint64_t>(md)) & kMask62);
  me -= static_cast<int64_t>((p_inverse * static_cast<uint64_t>(ce) + static_cast<uint64_t>(me)) & kMask62);
  cd = (cd + static_cast<i128>(p.v[0]) * md) >> 62;
  ce = (ce + static_cast<i128>(p.v[0]) * me) >> 62;
  ZK_UNROLL
  for (int i = 1; i < M; ++i) {
    cd += static_cast<i128>(t.u) * d.v[i] + static_cast<i128>(t.v) * e.v[i] + static_cast<i128>(p.v[i]) * md;
    ce += static_cast<i128>(t.q) * d.v[i] + static_cast<i128>(t.r) * e.v[i] + static_cast<i128>(p.v[i]) * me;
    d.v[i - 1] = static_cast<int64_t>(static_cast<uint64_t>(cd) & kMask62);
    e.v[i - 1] = static_cast<int64_t>(static_cast<uint64_t>(ce) & kMask62);
    cd >>= 62;
    ce >>= 62;
  }
  d.v[M - 1] = static_cast<int64_t>(cd);
  e.v[M - 1] = static_cast<int64_t>(ce);
}

// a <- (a + (p if a < 0)), then negated if asked; carries settled.
template <int M>
ZK_HD void lift_and_negate(Signed62<M>& a, const Signed62<M>& p, bool negate) {
  const int64_t add = a.v[M - 1] >> 63;
  const int64_t flip = negate ? -1 : 0;
  int64_t carry = 0;
  for (int i = 0; i < M; ++i) {
    const int64_t x = (((a.v[i] + (p.v[i] & add)) ^ flip) - flip) + carry;
    a.v[i] = i + 1 < M ? static_cast<int64_t>(static_cast<uint64_t>(x) & kMask62) : x;
    carry = x >> 62;
  }
}

}  // namespace detail

// 1/x; zero for zero.
template <class Params>
ZK_HD Field<Params> inverse(const Field<Params>& x) {
  using F = Field<Params>;
  constexpr int N = F::N;
  constexpr int M = (64 * N + 2 + 61) / 62;
  using Long = detail::Signed62<M>;
  constexpr Long p = detail::to_signed62<N, M>(Params::modulus());
  constexpr uint64_t p_inverse = ~detail::montgomery_factor<Params>() + 1;
  constexpr Limbs<N> r_cubed = detail::power_of_two<Params>(192 * N);

  Limbs<N> start{};
  for (int i = 0; i < N; ++i) start.v[i] = x.v[i];
  Long f = p, g = detail::to_signed62<N, M>(start), d{}, e{};
  e.v[0] = 1;
  int64_t delta = 1;
  for (;;) {
    const detail::DivstepMatrix t =
        detail::divsteps(delta, static_cast<uint64_t>(f.v[0]), static_cast<uint64_t>(g.v[0]));
    detail::update_de(d, e, t, p, p_inverse);
    detail::update_fg(f, g, t);
    int64_t any = 0;
    for (int i = 0; i < M; ++i) any |= g.v[i];
    if (any == 0) break;
  }
  // f is now +-gcd, and d = f / x mod p (0 for x = 0).
  detail::lift_and_negate(d, p, f.v[M - 1] < 0);
  detail::lift_and_negate(d, p, false);
  // x was a 2^(64 N): bring 1/(a 2^(64 N)) to 2^(64 N)/a.
  return F::mul_wide(F::from_limbs(r_cubed), F::from_limbs(detail::from_signed62<N, M>(d)));
}

}  // namespace zkcore
