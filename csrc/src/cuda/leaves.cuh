// The leaves of a fraction tree, computed from their columns wherever they are read.
//
// A run's numerator p, denominator q and P = p + batch * q are linear forms of its columns: with integer
// columns an entry costs a few short products, and so does an entry bound to r,
//   f(r, x) = (1 - r) f(0, x) + r f(1, x),
// whose two halves may lie in different runs. Forms are kept for two factors: 1 - r and r, or 1 and nothing.
// Leaves that no run covers are 0/1: one more run without columns.
#pragma once

#include "cuda/sums.cuh"

namespace zkcore::cuda {

enum Form { kNumerator, kDenominator, kMerged, kForms };

struct LeafColumn {
  const void* data;
  ColumnType type;
};

struct LeafRunView {
  size_t begin, end;
  uint32_t first, last;  // columns; the first is the numerator
};

// `other` is P or the numerator.
struct LeafForms {
  Fr denominator, other;
};
struct LeafSums {
  SmallSum denominator, other;
  Fr denominator_rest, other_rest;
};

// Everything lies on the device; index [which][form][run or column], all runs' columns one after the other.
struct LeafView {
  const LeafRunView* runs;
  const LeafColumn* columns;
  const Fr* starts;        // lifted constants without the biases
  const Fr* coefficients;  // lifted for integers up to 32 bits
  uint32_t run_count, column_count;

  __device__ __forceinline__ uint32_t find(size_t leaf, uint32_t hint) const {
    if (leaf >= runs[hint].begin && leaf < runs[hint].end) return hint;
    uint32_t low = 0;
    uint32_t high = run_count - 1;
    while (low < high) {
      const uint32_t middle = (low + high) / 2;
      if (leaf < runs[middle].end) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  __device__ __forceinline__ Fr start(int which, Form form, uint32_t run) const {
    return load(starts + (which * kForms + form) * run_count + run);
  }

  __device__ __forceinline__ Fr coefficient(int which, Form form, uint32_t column) const {
    return load(coefficients + (which * kForms + form) * column_count + column);
  }

  // Adds a leaf's columns to its forms, the numerator's first.
  template <bool kWithMerged>
  __device__ __forceinline__ void add(int which, uint32_t run, size_t leaf, LeafSums& sums) const {
    constexpr Form kOther = kWithMerged ? kMerged : kNumerator;
    const LeafRunView& r = runs[run];
    const size_t at = leaf - r.begin;
#pragma unroll 1
    for (uint32_t c = r.first; c < r.last; ++c) {
      const LeafColumn column = columns[c];
      const bool in_other = kWithMerged || c == r.first;
      const bool in_denominator = c != r.first;
      if (column.type == ColumnType::kField || column.type == ColumnType::kInt64) {
        const Fr x = field_entry(column.type, column.data, at);
        if (in_other) sums.other_rest += x * coefficient(which, kOther, c);
        if (in_denominator) sums.denominator_rest += x * coefficient(which, kDenominator, c);
        continue;
      }
      const uint32_t x = short_entry(column, at);
      if (in_other) sums.other.add(x, coefficient(which, kOther, c));
      if (in_denominator) sums.denominator.add(x, coefficient(which, kDenominator, c));
    }
  }

  __device__ __forceinline__ uint32_t short_entry(const LeafColumn& column, size_t at) const {
    switch (column.type) {
      case ColumnType::kInt8:
        return shifted(static_cast<const int8_t*>(column.data)[at]);
      case ColumnType::kInt16:
        return shifted(static_cast<const int16_t*>(column.data)[at]);
      default:
        return shifted(static_cast<const int32_t*>(column.data)[at]);
    }
  }

  // The leaf's denominator, and P or its numerator. kBind: bound together with the leaf `offset` further on.
  template <bool kBind, bool kWithMerged>
  __device__ __forceinline__ LeafForms forms(size_t leaf, size_t offset, uint32_t* hints) const {
    constexpr Form kOther = kWithMerged ? kMerged : kNumerator;
    hints[0] = find(leaf, hints[0]);
    Fr denominator = start(0, kDenominator, hints[0]);
    Fr other = start(0, kOther, hints[0]);
    if constexpr (kBind) {
      hints[1] = find(leaf + offset, hints[1]);
      denominator += start(1, kDenominator, hints[1]);
      other += start(1, kOther, hints[1]);
    }
    LeafSums sums{SmallSum(denominator), SmallSum(other), Fr::zero(), Fr::zero()};
    add<kWithMerged>(0, hints[0], leaf, sums);
    if constexpr (kBind) add<kWithMerged>(1, hints[1], leaf + offset, sums);
    return {sums.denominator.lower() + sums.denominator_rest, sums.other.lower() + sums.other_rest};
  }
};

// The host's side: makes views.
class Leaves {
 public:
  Leaves(std::vector<LeafRun> runs, Stream stream);
  size_t size() const { return size_; }
  // Forms for a batch, as they are or for binding to a challenge. Valid until the next call's work is queued.
  LeafView view(const Fr& batch, const Fr* challenge);
  // Products that reading every form of every leaf once takes.
  void count_pass() const;

 private:
  struct Tables {
    Array<Fr> starts, coefficients;
  };
  void fill(const Fr& batch, const Fr& factor, std::vector<Fr>& starts, std::vector<Fr>& coefficients) const;

  std::vector<LeafRun> runs_;
  size_t size_ = 0;
  size_t column_count_ = 0;
  Stream stream_;
  Array<LeafRunView> run_views_;
  Array<LeafColumn> columns_;
  Tables tables_;
};

}  // namespace zkcore::cuda
