#include "zkcore/msm.hpp"

#include "buckets.hpp"
#include "parallel.hpp"
#include "zkcore/group_counters.hpp"

namespace zkcore {
namespace {

constexpr size_t kStrausBelow = 12;
constexpr int kWnafWidth = 5;
constexpr int kOddMultiples = 1 << (kWnafWidth - 2);

// Interleaved NAFs (Straus): the doublings are shared by all points.
Xyzz straus(const Affine* points, const Fr* scalars, size_t n) {
  std::vector<Xyzz> table(n * kOddMultiples);
  std::vector<std::vector<int8_t>> digits(n);
  size_t longest = 0;
  uint64_t adds = 0;
  for (size_t i = 0; i < n; ++i) {
    const SignedScalar scalar = signed_scalar(scalars[i]);
    digits[i] = wnaf(scalar.magnitude, 4, kWnafWidth);
    longest = std::max(longest, digits[i].size());
    Xyzz p = Xyzz::from(scalar.negative ? -points[i] : points[i]);
    const Xyzz twice = dbl(p);
    for (int k = 0; k < kOddMultiples; ++k, p = add(p, twice)) table[i * kOddMultiples + k] = p;
    adds += kOddMultiples + 1;
  }
  Xyzz sum = Xyzz::infinity();
  for (size_t bit = longest; bit-- > 0;) {
    sum = dbl(sum);
    for (size_t i = 0; i < n; ++i) {
      const int digit = bit < digits[i].size() ? digits[i][bit] : 0;
      if (digit == 0) continue;
      const Xyzz& multiple = table[i * kOddMultiples + (digit > 0 ? digit : -digit) / 2];
      sum = add(sum, digit > 0 ? multiple : -multiple);
      ++adds;
    }
  }
  count_group_adds(adds + longest);
  count_doublings(n + longest);
  return sum;
}

}  // namespace

Affine msm(const Affine* points, const Fr* scalars, size_t n) {
  Xyzz sum = Xyzz::infinity();
  if (n < kStrausBelow) {
    sum = straus(points, scalars, n);
  } else {
    std::vector<SignedScalar> plain(n);
    parallel_for(n, 1024, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) plain[i] = signed_scalar(scalars[i]);
    });
    int bits = 0;
    uint64_t largest = 0;
    for (const SignedScalar& s : plain) {
      bits = std::max(bits, bit_length(s.magnitude, 4));
      largest = std::max(largest, s.magnitude[0]);
    }
    const Windows windows = Windows::choose(n, bits, largest);
    const auto read = [&](size_t, DigitRow& row) {
      parallel_for(n, 4096, [&](size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i) row.set(i, plain[i]);
      });
    };
    bucket_sums(points, 1, n, windows, read, &sum);
  }
  Affine out;
  to_affine(&sum, &out, 1);
  return out;
}

}  // namespace zkcore
