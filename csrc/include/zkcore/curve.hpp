// G1 of BLS12-381: y^2 = x^3 + 4 over Fq, the subgroup of order r (the modulus of Fr).
//
// Affine points are what arrays hold; infinity is (0, 0), which is not on the curve. Sums are kept as XYZZ:
// x = X / ZZ, y = Y / ZZZ, ZZ^3 = ZZZ^2, infinity has ZZ = 0. Formulas: Explicit-Formulas Database,
// "shortw/xyzz". All functions are complete: equal, opposite and infinite arguments are handled. The curve
// has no point with y = 0.
#pragma once

#include "zkcore/field.hpp"

namespace zkcore {

struct Affine {
  Fq x, y;

  ZK_HD static constexpr Affine infinity() { return Affine{}; }
  ZK_HD ZK_INLINE bool is_infinity() const { return x.is_zero() && y.is_zero(); }
  ZK_HD ZK_INLINE Affine operator-() const { return {x, -y}; }
  ZK_HD ZK_INLINE bool operator==(const Affine& b) const { return x == b.x && y == b.y; }
};

static_assert(sizeof(Affine) == 96);

struct Xyzz {
  Fq x, y, zz, zzz;

  ZK_HD static constexpr Xyzz infinity() { return Xyzz{}; }
  ZK_HD static Xyzz from(const Affine& p) {
    if (p.is_infinity()) return infinity();
    return {p.x, p.y, Fq::one(), Fq::one()};
  }
  ZK_HD ZK_INLINE bool is_infinity() const { return zz.is_zero(); }
  ZK_HD ZK_INLINE Xyzz operator-() const { return {x, -y, zz, zzz}; }
};

// The constant 4 of the curve.
ZK_HD inline Fq curve_b() { return Fq::one().dbl().dbl(); }

ZK_HD inline bool on_curve(const Affine& p) {
  return p.is_infinity() || p.y.sqr() == p.x.sqr() * p.x + curve_b();
}

// 6M + 3S ("dbl-2008-s-1").
ZK_HD inline Xyzz dbl(const Xyzz& p) {
  if (p.is_infinity()) return p;
  const Fq u = p.y.dbl();
  const Fq v = u.sqr();
  const Fq w = u * v;
  const Fq s = p.x * v;
  const Fq xx = p.x.sqr();
  const Fq m = xx.dbl() + xx;
  Xyzz r;
  r.x = m.sqr() - s.dbl();
  r.y = m * (s - r.x) - w * p.y;
  r.zz = v * p.zz;
  r.zzz = w * p.zzz;
  return r;
}

// 8M + 2S ("madd-2008-s").
ZK_HD inline Xyzz add(const Xyzz& a, const Affine& b) {
  if (b.is_infinity()) return a;
  if (a.is_infinity()) return Xyzz::from(b);
  const Fq p = b.x * a.zz - a.x;
  const Fq r = b.y * a.zzz - a.y;
  if (p.is_zero()) return r.is_zero() ? dbl(a) : Xyzz::infinity();
  const Fq pp = p.sqr();
  const Fq ppp = p * pp;
  const Fq q = a.x * pp;
  Xyzz sum;
  sum.x = r.sqr() - ppp - q.dbl();
  sum.y = r * (q - sum.x) - a.y * ppp;
  sum.zz = a.zz * pp;
  sum.zzz = a.zzz * ppp;
  return sum;
}

// 12M + 2S ("add-2008-s").
ZK_HD inline Xyzz add(const Xyzz& a, const Xyzz& b) {
  if (b.is_infinity()) return a;
  if (a.is_infinity()) return b;
  const Fq u = a.x * b.zz;
  const Fq s = a.y * b.zzz;
  const Fq p = b.x * a.zz - u;
  const Fq r = b.y * a.zzz - s;
  if (p.is_zero()) return r.is_zero() ? dbl(a) : Xyzz::infinity();
  const Fq pp = p.sqr();
  const Fq ppp = p * pp;
  const Fq q = u * pp;
  Xyzz sum;
  sum.x = r.sqr() - ppp - q.dbl();
  sum.y = r * (q - sum.x) - s * ppp;
  sum.zz = a.zz * b.zz * pp;
  sum.zzz = a.zzz * b.zzz * ppp;
  return sum;
}

// Doublings for long runs of them: Jacobian coordinates x = X / Z^2, y = Y / Z^3 take 2M + 5S ("dbl-2009-l").
struct Jacobian {
  Fq x, y, z;

  ZK_HD Xyzz to_xyzz() const {
    const Fq zz = z.sqr();
    return {x, y, zz, zz * z};
  }
};

ZK_HD inline Jacobian dbl(const Jacobian& p) {
  const Fq a = p.x.sqr();
  const Fq b = p.y.sqr();
  const Fq c = b.sqr();
  const Fq d = ((p.x + b).sqr() - a - c).dbl();
  const Fq e = a.dbl() + a;
  Jacobian r;
  r.x = e.sqr() - d.dbl();
  r.y = e * (d - r.x) - c.dbl().dbl().dbl();
  r.z = (p.y * p.z).dbl();
  return r;
}

// A Jacobian form of an XYZZ point: with Z = ZZZ, X' = X ZZ^2 and Y' = Y ZZZ^2 give the same x and y.
ZK_HD inline Jacobian to_jacobian(const Xyzz& p) {
  const Fq zzz2 = p.zzz.sqr();
  return {p.x * p.zz.sqr(), p.y * zzz2, p.zzz};
}

// 2^count * p.
ZK_HD inline Xyzz dbl_times(const Xyzz& p, int count) {
  if (p.is_infinity()) return p;
  if (count < 4) {
    Xyzz r = p;
    for (int i = 0; i < count; ++i) r = dbl(r);
    return r;
  }
  Jacobian r = to_jacobian(p);
  for (int i = 0; i < count; ++i) r = dbl(r);
  return r.to_xyzz();
}

}  // namespace zkcore
