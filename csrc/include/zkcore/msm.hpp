// Sums of multiples of points. Points must lie in the prime-order subgroup.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "zkcore/column.hpp"
#include "zkcore/curve.hpp"

namespace zkcore {

// Multiples d * 2^(8 t) * B of a few bases B, for d = 1 .. 128 and every byte t of a scalar: a product by a
// fixed base takes at most 32 additions.
class FixedBase {
 public:
  FixedBase(const Affine* bases, size_t count);

  size_t bases() const { return bases_; }
  // [base][t][d - 1]: d * 2^(8 t) * base.
  std::span<const Affine> table() const { return table_; }
  static constexpr size_t kTableSize = size_t{32} * 128;  // of one base
  // sum + scalar * bases[base]; counts the additions in `adds`.
  Xyzz accumulate(Xyzz sum, size_t base, const Limbs<4>& scalar, uint64_t& adds) const;
  // The end of a row commitment: sums[i] += blinds[i] * bases[0], in affine form in `out`. `in_team`: a few
  // rows on cores that are kept awake for the next ones.
  void add_blinds(Xyzz* sums, const Fr* blinds, size_t n, Affine* out, bool in_team = false) const;
  // sum of scalars[i] * bases[i] for the first `count` bases. `in_team`: on several cores that are kept awake
  // for the next call, for callers that wait for nothing but this.
  Affine combine(const Fr* scalars, size_t count, bool in_team = false) const;

 private:
  Xyzz add_windows(Xyzz sum, size_t base, const int* digits, int first, int last, uint64_t& adds) const;

  static constexpr int kWindows = 32;
  static constexpr int kMultiples = 128;

  size_t bases_;
  std::vector<Affine> table_;
};

// sum of scalars[i] * points[i].
Affine msm(const Affine* points, const Fr* scalars, size_t n);

// out[i] = sum_j rows[i][j] * generators[j] + blinds[i] * (first base of blinder), for n rows of `width`
// scalars.
void commit_rows(const Affine* generators, const Column& rows, size_t n, size_t width, const Fr* blinds,
                 const FixedBase& blinder, Affine* out);

// out[i] = sum_{j < k} weights[j] * points[j n + i].
void fold_points(const Affine* points, const Fr* weights, size_t k, size_t n, Affine* out);

}  // namespace zkcore
