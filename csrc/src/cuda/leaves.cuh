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

  // Adds the columns' shares: short ones to `sum`, others to `rest`.
  __device__ __forceinline__ void add(int which, Form form, uint32_t run, size_t leaf, SmallSum& sum,
                                      Fr& rest) const {
    const LeafRunView& r = runs[run];
    const size_t at = leaf - r.begin;
    const Fr* coefficient = coefficients + (which * kForms + form) * column_count;
    const uint32_t first = form == kDenominator ? r.first + 1 : r.first;
    const uint32_t last = form == kNumerator && r.first < r.last ? r.first + 1 : r.last;
#pragma unroll 1
    for (uint32_t c = first; c < last; ++c) {
      const LeafColumn column = columns[c];
      const Fr factor = load(coefficient + c);
      switch (column.type) {
        case ColumnType::kInt8:
          sum.add(shifted(static_cast<const int8_t*>(column.data)[at]), factor);
          break;
        case ColumnType::kInt16:
          sum.add(shifted(static_cast<const int16_t*>(column.data)[at]), factor);
          break;
        case ColumnType::kInt32:
          sum.add(shifted(static_cast<const int32_t*>(column.data)[at]), factor);
          break;
        case ColumnType::kInt64:
          rest += entry(static_cast<const int64_t*>(column.data)[at]) * factor;
          break;
        case ColumnType::kField: {
          const Fr value = load(static_cast<const Fr*>(column.data) + at);
          rest += factor == Fr::one() ? value : value * factor;
        }
      }
    }
  }

  __device__ __forceinline__ Fr value(Form form, size_t leaf, uint32_t& hint) const {
    hint = find(leaf, hint);
    SmallSum sum(start(0, form, hint));
    Fr rest = Fr::zero();
    add(0, form, hint, leaf, sum, rest);
    return sum.lower() + rest;
  }

  // Of `low` and `high` bound together.
  __device__ __forceinline__ Fr bound(Form form, size_t low, size_t high, uint32_t& low_hint,
                                      uint32_t& high_hint) const {
    low_hint = find(low, low_hint);
    high_hint = find(high, high_hint);
    SmallSum sum(start(0, form, low_hint) + start(1, form, high_hint));
    Fr rest = Fr::zero();
    add(0, form, low_hint, low, sum, rest);
    add(1, form, high_hint, high, sum, rest);
    return sum.lower() + rest;
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
