// The endomorphism phi(x, y) = (beta x, y), beta^3 = 1: on the subgroup of order r it is multiplication by
// -x^2, where x = -0xd201000000010000 is the parameter of the curve (Scott, "A note on group membership
// tests", eprint 2021/1130).
#pragma once

#include "zkcore/curve.hpp"

namespace zkcore {

// |x|, the absolute value of the parameter.
inline constexpr uint64_t kCurveParameter = 0xd201000000010000;

ZK_HD inline Affine endomorphism(const Affine& p) {
  // 0x5f19672fdf76ce51ba69c6076a0f77eaddb3a93be6f89688de17d813620a00022e01fffffffefffe
  constexpr Limbs<6> beta = {{0x2e01fffffffefffe, 0xde17d813620a0002, 0xddb3a93be6f89688, 0xba69c6076a0f77ea,
                              0x5f19672fdf76ce51, 0}};
  return {p.x * Fq::from_integer(beta), p.y};
}

// |x| * p by double-and-add: the parameter has six one bits. `Point` is Affine or Xyzz.
template <class Point>
ZK_HD Xyzz mul_by_parameter(const Point& p, const Xyzz& start) {
  Xyzz r = start;
  int pending = 0;
  for (int bit = 62; bit >= 0; --bit) {
    ++pending;
    if ((kCurveParameter >> bit) & 1) {
      r = add(dbl_times(r, pending), p);
      pending = 0;
    }
  }
  return dbl_times(r, pending);
}
ZK_HD inline Xyzz mul_by_parameter(const Affine& p) { return mul_by_parameter(p, Xyzz::from(p)); }
ZK_HD inline Xyzz mul_by_parameter(const Xyzz& p) { return mul_by_parameter(p, p); }

// Group operations of one call.
inline constexpr int kMulByParameterAdds = 63 + 5;

// Whether a point of the curve, not infinity, has order r: phi(P) = [-x^2] P.
ZK_HD inline bool in_subgroup(const Affine& p) {
  const Xyzz q = mul_by_parameter(mul_by_parameter(p));
  if (q.is_infinity()) return false;
  const Affine image = endomorphism(p);
  return image.x * q.zz == q.x && -image.y * q.zzz == q.y;
}

}  // namespace zkcore
