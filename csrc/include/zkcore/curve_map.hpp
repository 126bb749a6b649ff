// The map of RFC 9380 from field elements to the curve, for both kinds of processor: simplified SWU onto an
// isogenous curve (section 6.6.3), then the 11-isogeny (appendix E.2), then the cofactor.
#pragma once

#include "zkcore/endomorphism.hpp"

#ifdef __CUDACC__
#define ZK_ROLLED _Pragma("unroll 1")
#else
#define ZK_ROLLED
#endif

namespace zkcore {

// (p - 3) / 4
ZK_HD constexpr Limbs<6> sqrt_exponent() {
  Limbs<6> e = FqParams::modulus();
  e.v[0] -= 3;  // no borrow: the low limb of p is larger
  for (int i = 0; i < 6; ++i) e.v[i] = e.v[i] >> 2 | (i < 5 ? e.v[i + 1] << 62 : 0);
  return e;
}

// a^((p - 3) / 4): times a it is a square root of a, if a is a square. Sliding windows of five bits.
ZK_HD inline Fq pow_p_minus_3_over_4(const Fq& a) {
  constexpr int kWidth = 5;
  constexpr Limbs<6> exponent = sqrt_exponent();
  const auto bit = [&exponent](int i) { return static_cast<int>(exponent.v[i / 64] >> (i % 64)) & 1; };
  Fq odd_powers[1 << (kWidth - 1)];
  const Fq square = a.sqr();
  odd_powers[0] = a;
  ZK_ROLLED
  for (int i = 1; i < 1 << (kWidth - 1); ++i) odd_powers[i] = odd_powers[i - 1] * square;
  Fq r = Fq::one();
  ZK_ROLLED
  for (int top = 378; top >= 0;) {
    if (!bit(top)) {
      r = r.sqr();
      --top;
      continue;
    }
    int low = top - kWidth + 1 > 0 ? top - kWidth + 1 : 0;
    while (!bit(low)) ++low;
    int value = 0;
    ZK_ROLLED
    for (int i = top; i >= low; --i) {
      r = r.sqr();
      value = 2 * value + bit(i);
    }
    r = r * odd_powers[value / 2];
    top = low - 1;
  }
  return r;
}

// Sections 8.8.1 and E.2: E': y^2 = x^3 + a x + b, Z, and the isogeny's coefficients from the lowest degree.
struct CurveMap {
  Fq a, b, z, sqrt_minus_z;
  Fq x_numerator[12], x_denominator[11], y_numerator[16], y_denominator[16];
};

// x = numerator / denominator, y: a point of the isogenous curve E'.
struct IsogenousPoint {
  Fq numerator, denominator, y;
};

ZK_HD inline bool sgn0(const Fq& a) { return a.to_limbs().v[0] & 1; }

// Section F.2.1.2: root of u / v, or of Z u / v if the former is no square; whether the first was the case.
ZK_HD inline bool sqrt_ratio(const CurveMap& c, const Fq& u, const Fq& v, Fq& root) {
  const Fq uv = u * v;
  root = pow_p_minus_3_over_4(v.sqr() * uv) * uv;
  if (root.sqr() * v == u) return true;
  root = root * c.sqrt_minus_z;
  return false;
}

// Section F.2: the simplified Shallue-van de Woestijne-Ulas map to E', x left as a fraction.
ZK_HD inline IsogenousPoint map_to_isogenous_curve(const CurveMap& c, const Fq& u) {
  const Fq zu2 = c.z * u.sqr();
  const Fq sum = zu2.sqr() + zu2;
  const Fq x_numerator = c.b * (sum + Fq::one());
  const Fq x_denominator = c.a * (sum.is_zero() ? c.z : -sum);
  // g(x) = x^3 + A' x + B' as a fraction.
  const Fq denominator2 = x_denominator.sqr();
  const Fq g_denominator = denominator2 * x_denominator;
  const Fq g_numerator = (x_numerator.sqr() + c.a * denominator2) * x_numerator + c.b * g_denominator;
  IsogenousPoint p{x_numerator, x_denominator, {}};
  if (!sqrt_ratio(c, g_numerator, g_denominator, p.y)) {
    p.numerator = p.numerator * zu2;
    p.y = p.y * (zu2 * u);
  }
  if (sgn0(u) != sgn0(p.y)) p.y = -p.y;
  return p;
}

// sum_i c_i n^i d^(K - 1 - i)
template <int K>
ZK_HD Fq evaluate(const Fq (&coefficients)[K], const Fq& n, const Fq (&d_powers)[16]) {
  Fq r = coefficients[K - 1];
  ZK_ROLLED
  for (int i = K - 2; i >= 0; --i) r = r * n + coefficients[i] * d_powers[K - 1 - i];
  return r;
}

// Appendix E.2, without a division: with x = a / b and y = c / e, Z = b e gives X = x Z^2 and Y = y Z^3. A
// zero denominator means infinity, as the RFC asks.
ZK_HD inline Xyzz map_to_curve(const CurveMap& c, const Fq& u) {
  const IsogenousPoint p = map_to_isogenous_curve(c, u);
  Fq d[16];
  d[0] = Fq::one();
  ZK_ROLLED
  for (int i = 1; i < 16; ++i) d[i] = d[i - 1] * p.denominator;
  const Fq a = evaluate(c.x_numerator, p.numerator, d);
  const Fq b = evaluate(c.x_denominator, p.numerator, d) * p.denominator;
  const Fq y_top = evaluate(c.y_numerator, p.numerator, d) * p.y;
  const Fq e = evaluate(c.y_denominator, p.numerator, d);
  const Fq be2 = b * e.sqr();
  const Fq b2 = b.sqr();
  Xyzz r;
  r.x = a * be2;
  r.y = y_top * be2 * b2;
  r.zz = be2 * b;
  r.zzz = r.zz * b * e;
  return r;
}

// Section 3 (hash_to_curve): the sum of two images, times the effective cofactor |x| + 1.
ZK_HD inline Xyzz map_pair(const CurveMap& c, const Fq& u0, const Fq& u1) {
  const Xyzz sum = add(map_to_curve(c, u0), map_to_curve(c, u1));
  return add(mul_by_parameter(sum), sum);
}

}  // namespace zkcore
