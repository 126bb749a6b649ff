// Verbs for columns whose entries are -1, 0 or 1: nothing is multiplied and no point is doubled.
//
// Entries are taken in groups of g. A group is the integer v = sum_i 3^i w_i in balanced ternary, -h <= v <=
// h with h = (3^g - 1) / 2, and v names one of the group's signed subset sums, which are made once, by
// additions: a group then costs one addition instead of g (the "four Russians" trick, over three values).
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>

#include "zkcore/curve.hpp"
#include "zkcore/field.hpp"
#include "zkcore/field_buffer.hpp"
#include "zkcore/msm.hpp"

namespace zkcore {

inline constexpr int kMostTrits = 5;  // in a group: 121 sums up to sign

// h: a group of g entries is an integer from -h to h.
ZK_HD constexpr uint32_t ternary_half(int g) {
  uint32_t power = 1;
  for (int i = 0; i < g; ++i) power *= 3;
  return (power - 1) / 2;
}

// The group size that makes the fewest additions where every group is read `uses` times. `per_sum`: additions
// for one of a group's sums, in hundredths.
constexpr int ternary_group(size_t uses, uint64_t per_sum) {
  int best = 1;
  uint64_t least = ~uint64_t{0};
  for (int g = 1; g <= kMostTrits; ++g) {
    // Per entry, in 1/6000: one addition a use, and the sums.
    const uint64_t cost = 60 * (100 * static_cast<uint64_t>(uses) + per_sum * ternary_half(g)) / g;
    if (cost < least) least = cost, best = g;
  }
  return best;
}

bool is_ternary(const int8_t* entries, size_t count);

// As `contract` on a column of entries -1, 0, 1.
void contract_ternary(const int8_t* column, size_t outer, size_t k, size_t inner, const Fr* weights, Fr* out);

// As `commit_rows` on rows of entries -1, 0, 1. The generators' subset sums are kept for the next rows, which
// have the same generators as a rule: a tensor alone has too few rows to be worth many.
class TernaryRows {
 public:
  void commit(const Affine* generators, size_t count, const int8_t* rows, size_t n, size_t width,
              const Fr* blinds, const FixedBase& blinder, Affine* out);

 private:
  bool made_of(const Affine* generators) const;
  void prepare(const Affine* generators, size_t count, size_t entries);

  std::mutex busy_;
  int g_ = 1;  // of which no sums are made: they are the generators
  size_t count_ = 0, served_ = 0;
  Buffer<Affine> own_, sums_;
};

}  // namespace zkcore
