// Tables of multilinear polynomials: per-entry arithmetic, shared with device code, and the host verbs on
// whole columns.
//
// A table of 2^n entries lists a polynomial's values on {0,1}^n; the first variable is the most significant
// bit of the index. Binding it to r replaces entries f(0, x) and f(1, x), half a table apart, by f(r, x).
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "zkcore/column.hpp"

namespace zkcore {

// ---- binding one pair

struct BindChallenge {
  Fr r;
  Fr at_zero, at_one;  // 1 - r and r, lifted
};

ZK_HD inline BindChallenge bind_challenge(const Fr& r) { return {r, lift(Fr::one() - r), lift(r)}; }

ZK_HD ZK_INLINE Fr bind_pair(const Fr& lo, const Fr& hi, const BindChallenge& c) {
  return lo + (hi - lo) * c.r;
}

// Integers from -2^31 to 2^31 - 1.
ZK_HD ZK_INLINE Fr bind_pair(int64_t lo, int64_t hi, const BindChallenge& c) {
  constexpr Fr start = -two_to<64 + kBiasBits<int32_t>>();  // the coefficients add up to 1
  SmallSum sum(start);
  sum.add(biased(static_cast<int32_t>(lo)), c.at_zero);
  sum.add(biased(static_cast<int32_t>(hi)), c.at_one);
  return sum.lower();
}

// ---- verbs; `out` has room for the result and overlaps no input

void from_ints(const Column& column, Fr* out);

// Pieces of 64 little-endian bytes, reduced.
void from_wide_bytes(const uint8_t* data, size_t count, Fr* out);

// [2^n]: scale * prod_i (w_i x_i + (1 - w_i)(1 - x_i)).
void eq_table(std::span<const Fr> point, const Fr& scale, Fr* out);

// column [outer, k, inner], weights [k] -> [outer, inner].
void contract(const Column& column, size_t outer, size_t k, size_t inner, const Fr* weights, Fr* out);

Fr dot(const Column& a, const Column& b);

// constant + sum of coefficient * column, entry by entry. Integer columns are summed together and reduced
// once.
using LinearTerm = std::pair<Fr, Column>;
class LinearForm {
 public:
  LinearForm(std::span<const LinearTerm> terms, const Fr& constant);
  static constexpr size_t kMaxCount = 64;
  // Entries [begin, begin + count), count <= kMaxCount.
  void load(size_t begin, size_t count, Fr* out) const;
  uint64_t field_mults() const { return field_mults_; }  // per entry
  uint64_t small_mults() const { return small_mults_; }

 private:
  // Integer columns whose unsigned entries add up to less than 2^64; coefficients and start are lifted.
  struct Pack {
    Fr start;
    std::vector<LinearTerm> terms;
    bool whole;  // holds one column of 64 bits, and has no room for more
  };
  void add_integers(const LinearTerm& term);

  Fr constant_;
  std::vector<Pack> packs_;
  std::vector<LinearTerm> fields_;
  uint64_t field_mults_ = 0, small_mults_ = 0;
};

void combine(const LinearForm& form, size_t length, Fr* out);

void multiply(const Column& a, const Column& b, Fr* out);

// Zero stays zero.
void batch_inverse(const Fr* values, size_t count, Fr* out);

// [size]: out[index[i]] += values[i]; every index lies in [0, size).
void scatter_add(const int64_t* index, const Fr* values, size_t count, size_t size, Fr* out);

}  // namespace zkcore
