#include "buckets.hpp"
#include "parallel.hpp"
#include "zkcore/group_counters.hpp"
#include "zkcore/msm.hpp"

namespace zkcore {
namespace {

SignedScalar scalar_at(const Fr* data, size_t i) { return signed_scalar(data[i]); }
template <class Int>
SignedScalar scalar_at(const Int* data, size_t i) {
  return signed_scalar_of_int(data[i]);
}

// Bit length of the largest magnitude, and that magnitude if it fits 64 bits.
struct Extent {
  int bits = 0;
  uint64_t largest = 0;

  void include(const Extent& other) {
    bits = std::max(bits, other.bits);
    largest = std::max(largest, other.largest);
  }
};

template <class T>
Extent extent_of(const T* data, size_t count) {
  std::vector<Extent> parts;
  constexpr size_t kPart = 1 << 14;
  parts.resize((count + kPart - 1) / kPart);
  parallel_for(parts.size(), 4, [&](size_t begin, size_t end) {
    for (size_t p = begin; p < end; ++p) {
      Extent extent;
      for (size_t i = p * kPart; i < std::min(count, (p + 1) * kPart); ++i) {
        const SignedScalar s = scalar_at(data, i);
        extent.include({bit_length(s.magnitude, 4), s.magnitude[0]});
      }
      parts[p] = extent;
    }
  });
  Extent all;
  for (const Extent& part : parts) all.include(part);
  return all;
}

template <class T>
void sum_rows(const Affine* generators, const T* data, size_t n, size_t width, Xyzz* sums) {
  const Extent extent = extent_of(data, n * width);
  const Windows windows = Windows::choose(width, extent.bits, extent.largest);
  const auto read = [&](size_t i, DigitRow& row) {
    for (size_t j = 0; j < width; ++j) row.set(j, scalar_at(data, i * width + j));
  };
  bucket_sums(generators, n, width, windows, read, sums);
}

}  // namespace

void commit_rows(const Affine* generators, const Column& rows, size_t n, size_t width, const Fr* blinds,
                 const FixedBase& blinder, Affine* out) {
  std::vector<Xyzz> sums(n, Xyzz::infinity());
  if (width > 0) {
    visit(rows, [&](const auto* data) { sum_rows(generators, data, n, width, sums.data()); });
  }
  blinder.add_blinds(sums.data(), blinds, n, out);
}

}  // namespace zkcore
