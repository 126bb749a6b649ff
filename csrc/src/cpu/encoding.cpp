#include "zkcore/encoding.hpp"

#include <atomic>
#include <string>

#include "fq_sqrt.hpp"
#include "parallel.hpp"
#include "subgroup.hpp"
#include "zkcore/endomorphism.hpp"
#include "zkcore/group_counters.hpp"

namespace zkcore {
namespace {

constexpr uint8_t kCompressed = 0x80;
constexpr uint8_t kInfinity = 0x40;
constexpr uint8_t kLarger = 0x20;

// Whether y > p - y.
bool is_larger_root(const Fq& y) {
  const Limbs<6> a = y.to_limbs();
  const Limbs<6> b = (-y).to_limbs();
  return less_than<6>(b.v, a.v);
}

void encode_point(const Affine& p, uint8_t* out) {
  if (p.is_infinity()) {
    for (size_t i = 0; i < kEncodedBytes; ++i) out[i] = 0;
    out[0] = kCompressed | kInfinity;
    return;
  }
  const Limbs<6> x = p.x.to_limbs();
  for (size_t i = 0; i < kEncodedBytes; ++i) {
    const size_t k = kEncodedBytes - 1 - i;
    out[i] = static_cast<uint8_t>(x.v[k / 8] >> (8 * (k % 8)));
  }
  out[0] |= kCompressed | (is_larger_root(p.y) ? kLarger : 0);
}

// Null if well, else what is wrong; the subgroup is not looked at.
const char* decode_curve_point(const uint8_t* in, Affine& out) {
  const uint8_t flags = in[0] & (kCompressed | kInfinity | kLarger);
  if (!(flags & kCompressed)) return "not in compressed form";
  Limbs<6> x{};
  for (size_t i = 0; i < kEncodedBytes; ++i) {
    const size_t k = kEncodedBytes - 1 - i;
    const uint8_t byte = i == 0 ? in[0] & 0x1f : in[i];
    x.v[k / 8] |= static_cast<uint64_t>(byte) << (8 * (k % 8));
  }
  if (flags & kInfinity) {
    uint64_t any = flags & kLarger;
    for (uint64_t limb : x.v) any |= limb;
    out = Affine::infinity();
    return any ? "infinity with other bits set" : nullptr;
  }
  if (!less_than<6>(x.v, FqParams::modulus().v)) return "x is not below the field modulus";
  out.x = Fq::from_integer(x);
  if (!sqrt(out.x.sqr() * out.x + curve_b(), out.y)) return "not on the curve";
  if (is_larger_root(out.y) != ((flags & kLarger) != 0)) out.y = -out.y;
  return nullptr;
}

const char* decode_point(const uint8_t* in, Affine& out) {
  const char* reason = decode_curve_point(in, out);
  if (reason || out.is_infinity() || in_subgroup(out)) return reason;
  return "not in the prime-order subgroup";
}

// Decodes with `decode`, and returns the number of the first bad point; `n` if there is none.
template <class Decode>
size_t first_bad(const uint8_t* data, size_t n, Affine* out, Decode decode) {
  std::atomic<size_t> first{n};
  parallel_for(n, 4, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      if (i > first) return;
      if (decode(data + i * kEncodedBytes, out[i]) == nullptr) continue;
      size_t known = first;
      while (i < known && !first.compare_exchange_weak(known, i)) {
      }
      return;
    }
  });
  return first;
}

}  // namespace

void encode_points(const Affine* points, size_t n, uint8_t* out) {
  parallel_for(n, 512, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) encode_point(points[i], out + i * kEncodedBytes);
  });
}

// Many points: the subgroup is checked for all at once, and for each by itself only to say which is bad.
void decode_points(const uint8_t* data, size_t n, Affine* out) {
  if (n >= kSubgroupBatch && first_bad(data, n, out, decode_curve_point) == n &&
      all_in_subgroup(out, n, Sha256().update(data, n * kEncodedBytes).digest())) {
    return;
  }
  const size_t bad = first_bad(data, n, out, decode_point);
  count_group_adds(2 * kMulByParameterAdds * bad);
  if (bad == n) return;
  const char* reason = decode_point(data + bad * kEncodedBytes, out[bad]);
  throw std::invalid_argument("point " + std::to_string(bad) + ": " + reason);
}

}  // namespace zkcore
