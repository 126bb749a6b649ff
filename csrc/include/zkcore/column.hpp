// Columns: the sequences of numbers the engine reads, either integers of 8 to 64 bits or field elements.
//
// A Column names its entry type at run time; `visit` turns that into a typed pointer once per call, so that
// the loops are compiled for each type and integers are never expanded to field elements in memory.
#pragma once

#include "zkcore/field.hpp"

namespace zkcore {

enum class ColumnType : uint8_t { kInt8, kInt16, kInt32, kInt64, kField };

struct Column {
  ColumnType type;
  const void* data;
  size_t size;
};

inline Column field_column(const Fr* data, size_t size) { return {ColumnType::kField, data, size}; }

// Calls fn(const T* data) with the type of the entries.
template <class Fn>
void visit_integers(const Column& column, Fn&& fn) {
  switch (column.type) {
    case ColumnType::kInt8:
      return fn(static_cast<const int8_t*>(column.data));
    case ColumnType::kInt16:
      return fn(static_cast<const int16_t*>(column.data));
    case ColumnType::kInt32:
      return fn(static_cast<const int32_t*>(column.data));
    case ColumnType::kInt64:
      return fn(static_cast<const int64_t*>(column.data));
    case ColumnType::kField:
      return;
  }
}
template <class Fn>
void visit(const Column& column, Fn&& fn) {
  if (column.type == ColumnType::kField) return fn(static_cast<const Fr*>(column.data));
  visit_integers(column, fn);
}

template <class T>
inline constexpr bool kIsField = false;
template <>
inline constexpr bool kIsField<Fr> = true;

// ---- products of integers and field elements
//
// An integer costs a quarter of a field multiplication if the element comes multiplied by 2^64 beforehand
// ("lifted"): the sum of products then has five limbs, and one step of Montgomery's reduction divides the
// factor 2^64 out again. Integers are made unsigned by adding half their range; whoever sums takes bias *
// (sum of elements) away again.

template <class T>
inline constexpr int kBiasBits = 8 * sizeof(T) - 1;

template <class T>
ZK_HD ZK_INLINE constexpr uint64_t biased(T x) {
  return static_cast<uint64_t>(static_cast<int64_t>(x)) + (uint64_t{1} << kBiasBits<T>);
}

// 2^exponent in Montgomery form.
template <int exponent>
ZK_HD constexpr Fr two_to() {
  constexpr Limbs<4> power = detail::power_of_two<FrParams>(256 + exponent);
  return Fr::from_limbs(power);
}
ZK_HD inline Fr lift(const Fr& a) { return a * two_to<64>(); }

// start + sum of u * a, for unsigned u that add up to less than 2^64: below 2^64 p, in five limbs.
struct SmallSum {
  uint64_t v[5];

  SmallSum() = default;
  ZK_HD ZK_INLINE explicit SmallSum(const Fr& start) : v{start.v[0], start.v[1], start.v[2], start.v[3], 0} {}

  ZK_HD ZK_INLINE void add(uint64_t u, const Fr& a) {
    uint64_t carry = 0;
    ZK_UNROLL
    for (int i = 0; i < 4; ++i) v[i] = mul_add(u, a.v[i], v[i], carry);
    v[4] += carry;
  }
  // The sum divided by 2^64: (sum + m p) / 2^64 is below 2p.
  ZK_HD ZK_INLINE Fr lower() const {
    constexpr Limbs<4> p = FrParams::modulus();
    const uint64_t m = v[0] * detail::montgomery_factor<FrParams>();
    uint64_t carry = 0;
    (void)mul_add(m, p.v[0], v[0], carry);
    Fr r;
    ZK_UNROLL
    for (int i = 1; i < 4; ++i) r.v[i - 1] = mul_add(m, p.v[i], v[i], carry);
    r.v[3] = v[4] + carry;
    return r.reduced_once();
  }
};

// An entry of a column as a field element.
template <class T>
ZK_HD ZK_INLINE Fr to_field(T x) {
  constexpr Fr start = -two_to<64 + kBiasBits<T>>();
  SmallSum sum(start);
  sum.add(biased(x), two_to<64>());
  return sum.lower();
}
ZK_HD ZK_INLINE Fr to_field(const Fr& x) { return x; }

// acc += x * a without a branch on the sign of x, which is often unpredictable: the product of the two's
// complement of x is too large by 2^64 a when x is negative.
ZK_HD ZK_INLINE void add_signed(WideAcc<Fr>& acc, int64_t x, const Fr& a) {
  acc.add_product(static_cast<uint64_t>(x), a);
  const uint64_t mask = x < 0 ? ~uint64_t{0} : 0;
  uint64_t borrow = 0;
  ZK_UNROLL
  for (int i = 0; i < 4; ++i) acc.v[i + 1] = sub_borrow(acc.v[i + 1], a.v[i] & mask, borrow);
  acc.v[5] -= borrow;
}

}  // namespace zkcore
