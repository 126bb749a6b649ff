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

// kCompleted: q + p / batch.
enum Form { kNumerator, kDenominator, kMerged, kCompleted, kForms };

struct LeafColumn {
  const void* data;
  ColumnType type;
};

// What the columns allow: to be read two entries at a time, see leaf_pairs.cuh.
enum class Pairing : uint32_t { kNone, kPairs, kBytes };  // kBytes: with numerators of a byte

struct LeafRunView {
  static constexpr uint32_t kMostPaired = 3;  // columns of the denominator
  size_t begin, end;
  uint32_t first, last;  // columns; the first is the numerator
  Pairing pairing;
};

// The leaves 2 y and 2 y + 1; p0 may hold P.
struct LeafPair {
  Fr q0, p1, p0, q1;
};
// Where the last leaves were found, and with kBind those bound to them.
struct LeafHints {
  uint32_t near = 0, far = 0;
};
// What two leaves have in one run.
struct LeafVisit {
  uint32_t run;
  size_t at;       // the first leaf's place in the run
  bool even, odd;  // whether they lie in it
  size_t ahead;    // how far on to look
};
struct ShortEntries {
  uint32_t even, odd;  // made unsigned
  uint32_t bias;
};

// The sums that make a pair. kRest: numerators that are field elements with the coefficient 1 stay apart.
template <bool kRest>
struct LeafSums {
  SmallSum q0 = SmallSum(Fr::zero()), p1 = q0, p0 = q0, q1 = q0;
  __device__ __forceinline__ LeafPair lower() const {
    return {q0.lower(), p1.lower(), p0.lower(), q1.lower()};
  }
};
template <>
struct LeafSums<true> : LeafSums<false> {
  Fr p1_rest = Fr::zero(), p0_rest = Fr::zero();
  __device__ __forceinline__ LeafPair lower() const {
    return {q0.lower(), p1.lower() + p1_rest, p0.lower() + p0_rest, q1.lower()};
  }
};

// Two leaves' denominators, and their numerators as they are.
template <bool kWide>
struct PlainPair {
  Fr q0, q1;
  std::conditional_t<kWide, Fr, int32_t> p0, p1;
};

// Everything lies on the device; index [which][run or column][form], all runs' columns one after the other.
struct LeafView {
  const LeafRunView* runs;
  const LeafColumn* columns;
  const Fr* starts;        // lifted constants without the biases
  const Fr* coefficients;  // lifted
  uint32_t run_count, column_count;
  bool completes;  // the batch is not zero
  // -1 / batch, to be added to sums of products of two field elements, and that times -2^17.
  Fr correction, correction_start;

  // Whether the leaves `leaf` and `leaf + 1` lie in one run that allows so much; which it is.
  __device__ __forceinline__ bool paired(size_t leaf, Pairing wanted, uint32_t& run) const {
    run = find(leaf, run);
    const LeafRunView& r = runs[run];
    return r.pairing >= wanted && leaf + 1 < r.end;
  }

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
    return load(starts + (which * run_count + run) * kForms + form);
  }

  __device__ __forceinline__ Fr coefficient(int which, Form form, uint32_t column) const {
    return load(coefficients + (which * column_count + column) * kForms + form);
  }

  // Two neighbours of a column, zero for those outside the run; far ahead is fetched.
  template <class T>
  static __device__ __forceinline__ ShortEntries neighbours(const void* data, const LeafVisit& v,
                                                            size_t end) {
    const T* from = static_cast<const T*>(data) + v.at;
    if (v.at + v.ahead < end) ptx::prefetch(from + v.ahead);
    const T even = v.even ? from[0] : T{0};
    const T odd = v.odd ? from[1] : T{0};
    return {v.even ? shifted(even) : 0, v.odd ? shifted(odd) : 0, 1u << kBiasBits<T>};
  }
  __device__ __forceinline__ ShortEntries short_entries(const LeafColumn& column, const LeafVisit& v,
                                                        size_t end) const {
    switch (column.type) {
      case ColumnType::kInt8:
        return neighbours<int8_t>(column.data, v, end);
      case ColumnType::kInt16:
        return neighbours<int16_t>(column.data, v, end);
      default:
        return neighbours<int32_t>(column.data, v, end);
    }
  }
  __device__ __forceinline__ static bool is_wide(const LeafColumn& column) {
    return column.type == ColumnType::kField || column.type == ColumnType::kInt64;
  }
  __device__ __forceinline__ static Fr wide_entry(const LeafColumn& column, size_t at, bool there) {
    return there ? field_entry(column.type, column.data, at) : Fr::zero();
  }

  // Calls visit for each run that has one of the leaves `leaf` and `leaf + 1`: hardly ever two.
  template <class Visit>
  __device__ __forceinline__ void visit_runs(size_t leaf, size_t ahead, uint32_t& hint, Visit&& visit) const {
    uint32_t run = find(leaf, hint);
    hint = run;
    while (true) {
      const LeafRunView& r = runs[run];
      const bool last = leaf + 1 < r.end;
      visit(LeafVisit{run, leaf - r.begin, leaf >= r.begin, last, ahead});
      if (last) break;
      ++run;
    }
  }

  // Adds a run's share to q0 and q1, and with kMerged that of its denominators to P.
  template <bool kMerged, bool kWide, class Sums>
  __device__ __forceinline__ void add_denominators(int which, const LeafVisit& v, Sums& sums) const {
    const LeafRunView& r = runs[v.run];
    if (v.even) sums.q0.add(start(which, kDenominator, v.run));
    if (v.even && kMerged) sums.p0.add(start(which, Form::kMerged, v.run));
    if (v.odd) sums.q1.add(start(which, kDenominator, v.run));
#pragma unroll 1
    for (uint32_t c = r.first + 1; c < r.last; ++c) {
      const LeafColumn column = columns[c];
      const Fr own = coefficient(which, kDenominator, c);
      if constexpr (kWide) {
        if (is_wide(column)) {
          const Fr even = wide_entry(column, v.at, v.even);
          sums.q0.add(even * own);
          if constexpr (kMerged) sums.p0.add(even * coefficient(which, Form::kMerged, c));
          sums.q1.add(wide_entry(column, v.at + 1, v.odd) * own);
          continue;
        }
      }
      const ShortEntries x = short_entries(column, v, r.end - r.begin);
      sums.q0.add(x.even, own);
      sums.q1.add(x.odd, own);
      if constexpr (kMerged) sums.p0.add(x.even, coefficient(which, Form::kMerged, c));
    }
  }

  // Adds a run's numerators to P and p1.
  template <bool kWide, bool kRest>
  __device__ __forceinline__ void add_numerators(int which, const LeafVisit& v, LeafSums<kRest>& sums) const {
    const LeafRunView& r = runs[v.run];
    if (v.odd) sums.p1.add(start(which, kNumerator, v.run));
    if (r.first == r.last) return;  // outside all runs
    const LeafColumn column = columns[r.first];
    const Fr own = coefficient(which, kNumerator, r.first);  // of P too
    if constexpr (kWide) {
      if (is_wide(column)) {
        const Fr even = wide_entry(column, v.at, v.even);
        const Fr odd = wide_entry(column, v.at + 1, v.odd);
        if constexpr (kRest) {
          sums.p0_rest += even;
          sums.p1_rest += odd;
        } else {
          sums.p0.add(even * own);
          sums.p1.add(odd * own);
        }
        return;
      }
    }
    const ShortEntries x = short_entries(column, v, r.end - r.begin);
    sums.p0.add(x.even, own);
    sums.p1.add(x.odd, own);
  }

  // P, p1, q0, q1 of the parent y. kBind: bound together with the parent `half` further on. `step`: how far
  // on the thread's next parent is.
  template <bool kBind, bool kWide>
  __device__ __forceinline__ LeafPair merged_pair(size_t y, size_t half, size_t step,
                                                  LeafHints& hints) const {
    LeafSums<kWide && !kBind> sums;
#pragma unroll 1
    for (int which = 0; which < (kBind ? 2 : 1); ++which) {
      uint32_t hint = which ? hints.far : hints.near;
      visit_runs(2 * (y + which * half), 2 * step, hint, [&](const LeafVisit& v) {
        add_numerators<kWide>(which, v, sums);
        add_denominators<true, kWide>(which, v, sums);
      });
      (which ? hints.far : hints.near) = hint;
    }
    return sums.lower();
  }

  template <bool kWide>
  __device__ __forceinline__ PlainPair<kWide> plain_pair(size_t y, size_t step, LeafHints& hints) const {
    LeafSums<kWide> sums;
    PlainPair<kWide> out{};
    visit_runs(2 * y, 2 * step, hints.near, [&](const LeafVisit& v) {
      add_denominators<false, kWide>(0, v, sums);
      const LeafRunView& r = runs[v.run];
      if (r.first == r.last) return;
      const LeafColumn column = columns[r.first];
      if constexpr (kWide) {
        if (v.even) out.p0 = field_entry(column.type, column.data, v.at);
        if (v.odd) out.p1 = field_entry(column.type, column.data, v.at + 1);
      } else {
        const ShortEntries x = short_entries(column, v, r.end - r.begin);
        if (v.even) out.p0 = static_cast<int32_t>(x.even - x.bias);
        if (v.odd) out.p1 = static_cast<int32_t>(x.odd - x.bias);
      }
    });
    out.q0 = sums.q0.lower();
    out.q1 = sums.q1.lower();
    return out;
  }
};

// The host's side: makes views.
class Leaves {
 public:
  Leaves(std::vector<LeafRun> runs, Stream stream);
  size_t size() const { return size_; }
  // Whether a column has 64 bits or field elements.
  bool wide() const { return wide_; }
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
  bool wide_ = false;
  Fr inverse_ = Fr::zero();  // of the batch
  Stream stream_;
  Array<LeafRunView> run_views_;
  Array<LeafColumn> columns_;
  Tables tables_;
};

}  // namespace zkcore::cuda
