#include "zkcore/hash_to_curve.hpp"

#include <array>
#include <stdexcept>
#include <vector>

#include "batch_affine.hpp"
#include "fq_sqrt.hpp"
#include "isogeny_constants.hpp"
#include "parallel.hpp"
#include "zkcore/group_counters.hpp"
#include "zkcore/sha2.hpp"

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
void from_hex(const char* const (&digits)[K], Fq (&values)[K]) {
  for (size_t i = 0; i < K; ++i) values[i] = from_hex(digits[i]);
}

// Read once from the RFC's hexadecimal.
CurveMap read_map() {
  CurveMap m{from_hex(sswu::kA), from_hex(sswu::kB), Fq::from_int64(sswu::kZ), {}, {}, {}, {}, {}};
  if (!sqrt(-m.z, m.sqrt_minus_z)) throw std::logic_error("-Z must be a square");
  from_hex(sswu::kXNumerator, m.x_numerator);
  from_hex(sswu::kXDenominator, m.x_denominator);
  from_hex(sswu::kYNumerator, m.y_numerator);
  from_hex(sswu::kYDenominator, m.y_denominator);
  return m;
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

FieldPair hash_to_pair(std::string_view dst, std::string_view message) {
  const std::string uniform = expand_message_xmd(message, dst, 128);
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(uniform.data());
  return {reduce_wide(bytes), reduce_wide(bytes + 64)};
}

Xyzz hash_message(std::string_view dst, std::string_view message) {
  const FieldPair u = hash_to_pair(dst, message);
  return map_pair(curve_map(), u[0], u[1]);
}

// Calls body(begin, end, messages of that range as fn(i) -> std::string_view) on all cores.
template <class Body>
void for_messages(std::string_view prefix, uint64_t start, size_t count, Body body) {
  parallel_for(count, 8, [&](size_t begin, size_t end) {
    std::string message(prefix);
    message.resize(prefix.size() + 8);
    body(begin, end, [&](size_t i) -> std::string_view {
      const uint64_t index = start + i;
      for (int k = 0; k < 8; ++k) message[prefix.size() + k] = static_cast<char>(index >> (56 - 8 * k));
      return message;
    });
  });
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

const CurveMap& curve_map() {
  static const CurveMap instance = read_map();
  return instance;
}

void hash_to_field(std::string_view dst, std::string_view prefix, uint64_t start, size_t count,
                   FieldPair* out) {
  for_messages(prefix, start, count, [&](size_t begin, size_t end, const auto& message) {
    for (size_t i = begin; i < end; ++i) out[i] = hash_to_pair(dst, message(i));
  });
  count_group_adds(kAddsPerHash * count);  // that mapping them takes
}

void hash_to_curve(std::string_view dst, std::string_view prefix, uint64_t start, size_t count, Affine* out) {
  for_messages(prefix, start, count, [&](size_t begin, size_t end, const auto& message) {
    std::vector<Xyzz> points;
    for (size_t i = begin; i < end; ++i) points.push_back(hash_message(dst, message(i)));
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
