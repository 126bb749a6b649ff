// Pairs of leaves whose run has few short columns that may be read two entries at a time, as nearly all have.
// All of a run's entries are fetched before the first is used.
//
// The first round needs one product a pair where the numerators are bytes: with c = 1 / batch,
//   P q1 + p1 q0 = P (q1 + c p1) - c p0 p1,
// the latter a product of two integers.
#pragma once

#include "cuda/leaves.cuh"
#include "cuda/pair_round.cuh"
#include "cuda/short_sum.cuh"

namespace zkcore::cuda {

// Two entries of a column, as they lie in memory; made unsigned when they are used.
class RawPair {
 public:
  // Words are read whole, entries of a byte with their neighbours.
  __device__ __forceinline__ void read(const LeafColumn& column, size_t at, size_t next) {
    const auto log_bytes = static_cast<unsigned>(column.type);
    const auto from = reinterpret_cast<uintptr_t>(column.data) + (at << log_bytes);
    if (next > at) ptx::prefetch(reinterpret_cast<const char*>(from) + ((next - at) << log_bytes));
    const auto* word = reinterpret_cast<const uint32_t*>(from & ~uintptr_t{3});
    bits_and_shift_ = (8u << log_bytes) + ((static_cast<unsigned>(from) & 3u) << 11);
    low_ = __ldg(word);
    high_ = bits() == 32 ? __ldg(word + 1) : 0;
  }
  __device__ __forceinline__ uint32_t bias() const { return 1u << (bits() - 1); }
  __device__ __forceinline__ uint32_t even() const { return (first() ^ bias()) & mask(); }
  __device__ __forceinline__ uint32_t odd() const {
    return ((bits() == 32 ? high_ : first() >> bits()) ^ bias()) & mask();
  }

 private:
  __device__ __forceinline__ unsigned bits() const { return bits_and_shift_ & 63; }
  __device__ __forceinline__ uint32_t first() const { return low_ >> (bits_and_shift_ >> 8); }
  __device__ __forceinline__ uint32_t mask() const { return ~0u >> (32 - bits()); }

  uint32_t bits_and_shift_;  // of an entry; where the first one begins in the word
  uint32_t low_, high_;
};

// The columns of two leaves. Of a numerator that is a field element, nothing.
struct RawLeaves {
  uint32_t first, columns;  // the numerator's place, and those of the denominator
  bool numerator;           // whether there is a short one
  RawPair p, q[LeafRunView::kMostPaired];

  // `ahead`: how far on the thread's next pair is.
  __device__ __forceinline__ void read(const LeafView& leaves, const LeafRunView& run, size_t leaf,
                                       size_t ahead) {
    const size_t at = leaf - run.begin;
    const size_t next = leaf + ahead < run.end ? at + ahead : 0;
    first = run.first;
    columns = run.last > first ? run.last - first - 1 : 0;
    numerator = false;
    if (run.last > first) {
      const LeafColumn column = leaves.columns[first];
      numerator = column.type != ColumnType::kField;
      if (numerator) p.read(column, at, next);
    }
#pragma unroll
    for (uint32_t c = 0; c < LeafRunView::kMostPaired; ++c) {
      if (c < columns) q[c].read(leaves.columns[first + 1 + c], at, next);
    }
  }
  // Calls fn(pair, column) for the denominator's columns.
  template <class Fn>
  __device__ __forceinline__ void each(Fn&& fn) const {
#pragma unroll
    for (uint32_t c = 0; c < LeafRunView::kMostPaired; ++c) {
      if (c < columns) fn(q[c], first + 1 + c);
    }
  }
};

// The numerators of two leaves that have columns; field elements.
__device__ __forceinline__ Fr field_numerator(const LeafView& leaves, const LeafRunView& run, size_t leaf) {
  if (run.first == run.last) return Fr::zero();
  const LeafColumn column = leaves.columns[run.first];
  if (column.type != ColumnType::kField) return Fr::zero();
  return load_once(static_cast<const Fr*>(column.data) + (leaf - run.begin));
}

// P q1 + p1 q0 at the thread's end of a pair, or of the differences. Numerators are bytes.
__device__ __forceinline__ TwoProducts completed_product(const LeafView& leaves, const PairEnd& end, size_t y,
                                                         size_t step, uint32_t run) {
  ShortSum a(leaves.start(0, Form::kMerged, run)), b(leaves.start(0, kCompleted, run));
  RawLeaves raw;
  raw.read(leaves, leaves.runs[run], 2 * y, 2 * step);
  int32_t p0 = 0, p1 = 0;
  if (raw.numerator) {
    const uint32_t even = raw.p.even(), odd = raw.p.odd();
    a.add(even, leaves.coefficient(0, Form::kMerged, raw.first));
    b.add(odd, leaves.coefficient(0, kCompleted, raw.first));
    p0 = static_cast<int32_t>(even) - 128;
    p1 = static_cast<int32_t>(odd) - 128;
  }
  raw.each([&](const RawPair& x, uint32_t c) {
    a.add(x.even(), leaves.coefficient(0, Form::kMerged, c));
    b.add(x.odd(), leaves.coefficient(0, kCompleted, c));
  });
  const Fr first = end.value(a.lower());
  TwoProducts products(first, end.value(b.lower()));
  const int32_t p = end.value(p0) * end.value(p1);  // of 9 bits each
  ShortSum correction(leaves.correction_start);
  correction.add(static_cast<uint32_t>(p + (1 << 17)), leaves.correction);
  return products.add(correction);
}

// As LeafView::merged_pair.
template <bool kBind, bool kWide>
__device__ __forceinline__ LeafPair paired_merged(const LeafView& leaves, size_t y, size_t half, size_t step,
                                                  const LeafHints& hints, const FixedFactor& challenge) {
  ShortSum q0, q1, p0, p1;
#pragma unroll 1
  for (int which = 0; which < (kBind ? 2 : 1); ++which) {
    const uint32_t run = which ? hints.far : hints.near;
    RawLeaves raw;
    raw.read(leaves, leaves.runs[run], 2 * (y + which * half), 2 * step);
    q0.add(leaves.start(which, kDenominator, run));
    q1.add(leaves.start(which, kDenominator, run));
    p0.add(leaves.start(which, Form::kMerged, run));
    if (raw.numerator) {
      const Fr own = leaves.coefficient(which, kNumerator, raw.first);
      p1.add(leaves.start(which, kNumerator, run));
      p0.add(raw.p.even(), own);
      p1.add(raw.p.odd(), own);
    }
    raw.each([&](const RawPair& x, uint32_t c) {
      const uint32_t even = x.even();
      const Fr own = leaves.coefficient(which, kDenominator, c);
      q0.add(even, own);
      q1.add(x.odd(), own);
      p0.add(even, leaves.coefficient(which, Form::kMerged, c));
    });
  }
  LeafPair out{q0.lower(), p1.lower(), p0.lower(), q1.lower()};
  if constexpr (kWide) {
#pragma unroll 1
    for (int odd = 0; odd < 2; ++odd) {
      Fr p = field_numerator(leaves, leaves.runs[hints.near], 2 * y + odd);
      if constexpr (kBind) {
        p += (field_numerator(leaves, leaves.runs[hints.far], 2 * (y + half) + odd) - p) * challenge;
      }
      (odd ? out.p1 : out.p0) += p;
    }
  }
  return out;
}

// As LeafView::plain_pair.
template <bool kWide>
__device__ __forceinline__ PlainPair<kWide> paired_plain(const LeafView& leaves, size_t y, size_t step,
                                                         uint32_t run) {
  ShortSum a(leaves.start(0, kDenominator, run)), b = a;
  const LeafRunView r = leaves.runs[run];
  RawLeaves raw;
  raw.read(leaves, r, 2 * y, 2 * step);
  raw.each([&](const RawPair& x, uint32_t c) {
    const Fr own = leaves.coefficient(0, kDenominator, c);
    a.add(x.even(), own);
    b.add(x.odd(), own);
  });
  PlainPair<kWide> out{};
  out.q0 = a.lower();
  out.q1 = b.lower();
  int32_t p0 = 0, p1 = 0;
  if (raw.numerator) {
    const uint32_t bias = raw.p.bias();
    p0 = static_cast<int32_t>(raw.p.even() - bias);
    p1 = static_cast<int32_t>(raw.p.odd() - bias);
  }
  if constexpr (kWide) {
    out.p0 = raw.numerator ? entry(p0) : field_numerator(leaves, r, 2 * y);
    out.p1 = raw.numerator ? entry(p1) : field_numerator(leaves, r, 2 * y + 1);
  } else {
    out.p0 = p0;
    out.p1 = p1;
  }
  return out;
}

}  // namespace zkcore::cuda
