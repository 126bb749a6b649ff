#include "zkcore/hash_to_curve.hpp"

#include <array>
#include <stdexcept>
#include <vector>

#include "batch_affine.hpp"
#include "counters.hpp"
#include "fq_sqrt.hpp"
#include "isogeny_constants.hpp"
#include "parallel.hpp"
#include "zkcore/endomorphism.hpp"
#include "zkcore/sha256.hpp"

namespace zkcore {
namespace {

Fq from_hex(const char* digits) {
  Limbs<6> x{};
  for (int i = 0; i < 96; ++i) {
    const char c = digits[95 - i];
    const uint64_t nibble = c <= '9' ? c - '0' : c - 'a' + 10;
    x.v[i / 16] |= nibble << (4 * (i % 16));
  }
  return Fq::from_integer(x);
}

template <size_t K>
std::array<Fq, K> from_hex(const char* const (&digits)[K]) {
  std::array<Fq, K> values;
  for (size_t i = 0; i < K; ++i) values[i] = from_hex(digits[i]);
  return values;
}

struct Constants {
  Fq a = from_hex(sswu::kA);
  Fq b = from_hex(sswu::kB);
  Fq z = Fq::from_int64(sswu::kZ);
  Fq sqrt_minus_z;
  std::array<Fq, 12> x_numerator = from_hex(sswu::kXNumerator);
  std::array<Fq, 11> x_denominator = from_hex(sswu::kXDenominator);
  std::array<Fq, 16> y_numerator = from_hex(sswu::kYNumerator);
  std::array<Fq, 16> y_denominator = from_hex(sswu::kYDenominator);

  Constants() {
    if (!sqrt(-z, sqrt_minus_z)) throw std::logic_error("-Z must be a square");
  }
};

const Constants& constants() {
  static const Constants instance;
  return instance;
}

// x = numerator / denominator, y: a point of the isogenous curve E'.
struct IsogenousPoint {
  Fq numerator, denominator, y;
};

bool sgn0(const Fq& a) { return a.to_limbs().v[0] & 1; }

// Section F.2.1.2: root of u / v, or of Z u / v if the former is no square; whether the first was the case.
bool sqrt_ratio(const Fq& u, const Fq& v, Fq& root) {
  const Fq uv = u * v;
  root = pow_p_minus_3_over_4(v.sqr() * uv) * uv;
  if (root.sqr() * v == u) return true;
  root *= constants().sqrt_minus_z;
  return false;
}

// Section F.2: the simplified Shallue-van de Woestijne-Ulas map to E', x left as a fraction.
IsogenousPoint map_to_isogenous_curve(const Fq& u) {
  const Constants& c = constants();
  const Fq zu2 = c.z * u.sqr();
  const Fq sum = zu2.sqr() + zu2;
  const Fq x_numerator = c.b * (sum + Fq::one());
  const Fq x_denominator = c.a * (sum.is_zero() ? c.z : -sum);
  // g(x) = x^3 + A' x + B' as a fraction.
  const Fq denominator2 = x_denominator.sqr();
  const Fq g_denominator = denominator2 * x_denominator;
  const Fq g_numerator = (x_numerator.sqr() + c.a * denominator2) * x_numerator + c.b * g_denominator;
  IsogenousPoint p{x_numerator, x_denominator, {}};
  if (!sqrt_ratio(g_numerator, g_denominator, p.y)) {
    p.numerator *= zu2;
    p.y *= zu2 * u;
  }
  if (sgn0(u) != sgn0(p.y)) p.y = -p.y;
  return p;
}

// sum_i c_i n^i d^(K - 1 - i)
template <size_t K>
Fq evaluate(const std::array<Fq, K>& coefficients, const Fq& n, const std::array<Fq, 16>& d_powers) {
  Fq r = coefficients[K - 1];
  for (size_t i = K - 1; i-- > 0;) r = r * n + coefficients[i] * d_powers[K - 1 - i];
  return r;
}

// Appendix E.2, without a division: with x = a / b and y = c / e, Z = b e gives X = x Z^2 and Y = y Z^3. A
// zero denominator means infinity, as the RFC asks.
Xyzz map_to_curve(const Fq& u) {
  const Constants& c = constants();
  const IsogenousPoint p = map_to_isogenous_curve(u);
  std::array<Fq, 16> d;
  d[0] = Fq::one();
  for (size_t i = 1; i < d.size(); ++i) d[i] = d[i - 1] * p.denominator;
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

// 64 big-endian bytes, reduced mod p.
Fq reduce_wide(const uint8_t* bytes) {
  Limbs<6> high{}, low{};
  for (int i = 0; i < 32; ++i) {
    high.v[i / 8] |= static_cast<uint64_t>(bytes[31 - i]) << (8 * (i % 8));
    low.v[i / 8] |= static_cast<uint64_t>(bytes[63 - i]) << (8 * (i % 8));
  }
  constexpr Limbs<6> two_to_256 = {{0, 0, 0, 0, 1, 0}};
  return Fq::from_integer(high) * Fq::from_integer(two_to_256) + Fq::from_integer(low);
}

constexpr uint64_t kAddsPerHash = kMulByParameterAdds + 2;

Xyzz hash_message(std::string_view dst, std::string_view message) {
  const std::string uniform = expand_message_xmd(message, dst, 128);
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(uniform.data());
  const Xyzz sum = add(map_to_curve(reduce_wide(bytes)), map_to_curve(reduce_wide(bytes + 64)));
  // The effective cofactor is |x| + 1.
  return add(mul_by_parameter(sum), sum);
}

}  // namespace

std::string expand_message_xmd(std::string_view message, std::string_view dst, size_t size) {
  const size_t blocks = (size + 31) / 32;
  if (dst.empty()) throw std::invalid_argument("the domain separation tag is empty");
  if (blocks > 255) throw std::invalid_argument("more than 255 blocks of output");
  std::string tag(dst);
  if (tag.size() > 255) {
    const Sha256::Digest shortened =
        Sha256().update(std::string_view("H2C-OVERSIZE-DST-")).update(dst).digest();
    tag.assign(shortened.begin(), shortened.end());
  }
  tag.push_back(static_cast<char>(tag.size()));

  const std::array<uint8_t, 64> pad{};
  const std::array<uint8_t, 3> length_and_zero = {static_cast<uint8_t>(size >> 8), static_cast<uint8_t>(size),
                                                  0};
  const Sha256::Digest seed =
      Sha256().update(pad).update(message).update(length_and_zero).update(tag).digest();
  std::string out;
  Sha256::Digest block{};
  for (size_t i = 1; i <= blocks; ++i) {
    for (size_t k = 0; k < block.size(); ++k) block[k] ^= seed[k];
    const std::array<uint8_t, 1> index = {static_cast<uint8_t>(i)};
    block = Sha256().update(block).update(index).update(tag).digest();
    out.append(block.begin(), block.end());
  }
  out.resize(size);
  return out;
}

void hash_to_curve(std::string_view dst, std::string_view prefix, uint64_t start, size_t count, Affine* out) {
  parallel_for(count, 8, [&](size_t begin, size_t end) {
    std::vector<Xyzz> points(end - begin);
    std::string message(prefix);
    message.resize(prefix.size() + 8);
    for (size_t i = begin; i < end; ++i) {
      const uint64_t index = start + i;
      for (int k = 0; k < 8; ++k) message[prefix.size() + k] = static_cast<char>(index >> (56 - 8 * k));
      points[i - begin] = hash_message(dst, message);
    }
    to_affine(points.data(), out + begin, points.size());
    count_group_adds(kAddsPerHash * points.size());
  });
}

Affine hash_to_curve(std::string_view dst, std::string_view message) {
  const Xyzz point = hash_message(dst, message);
  Affine out;
  to_affine(&point, &out, 1);
  count_group_adds(kAddsPerHash);
  return out;
}

}  // namespace zkcore
