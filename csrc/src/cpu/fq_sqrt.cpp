#include "fq_sqrt.hpp"

namespace zkcore {
namespace {

// (p - 3) / 4
constexpr Limbs<6> sqrt_exponent() {
  Limbs<6> e = FqParams::modulus();
  e.v[0] -= 3;  // no borrow: the low limb of p is larger
  for (int i = 0; i < 6; ++i) e.v[i] = e.v[i] >> 2 | (i < 5 ? e.v[i + 1] << 62 : 0);
  return e;
}

constexpr Limbs<6> kExponent = sqrt_exponent();

int exponent_bit(int i) { return static_cast<int>(kExponent.v[i / 64] >> (i % 64)) & 1; }

}  // namespace

// Sliding windows of five bits.
Fq pow_p_minus_3_over_4(const Fq& a) {
  constexpr int kWidth = 5;
  Fq odd_powers[1 << (kWidth - 1)];
  const Fq square = a.sqr();
  odd_powers[0] = a;
  for (int i = 1; i < 1 << (kWidth - 1); ++i) odd_powers[i] = odd_powers[i - 1] * square;
  Fq r = Fq::one();
  for (int top = 378; top >= 0;) {
    if (!exponent_bit(top)) {
      r = r.sqr();
      --top;
      continue;
    }
    int low = top - kWidth + 1 > 0 ? top - kWidth + 1 : 0;
    while (!exponent_bit(low)) ++low;
    int value = 0;
    for (int i = top; i >= low; --i) {
      r = r.sqr();
      value = 2 * value + exponent_bit(i);
    }
    r *= odd_powers[value / 2];
    top = low - 1;
  }
  return r;
}

bool sqrt(const Fq& a, Fq& root) {
  root = pow_p_minus_3_over_4(a) * a;
  return root.sqr() == a;
}

}  // namespace zkcore
