// Folds of points: the weights are the same for every output, so a whole block of outputs takes the same
// doublings and additions, in affine coordinates with shared inversions.
#include <algorithm>

#include "batch_affine.hpp"
#include "parallel.hpp"
#include "scalars.hpp"
#include "zkcore/endomorphism.hpp"
#include "zkcore/msm.hpp"

namespace zkcore {
namespace {

constexpr int kWnafWidth = 4;
constexpr int kOddMultiples = 1 << (kWnafWidth - 2);
constexpr size_t kBlock = 128;

// The digits of one half of a weight, for the points themselves or for their images under -phi.
struct Half {
  std::vector<int8_t> digits;
};

class BlockFold {
 public:
  BlockFold(const Affine* points, size_t k, size_t n, const std::vector<Half>& halves)
      : points_(points), k_(k), n_(n), halves_(halves), table_(2 * k * kOddMultiples * kBlock) {
    for (const Half& half : halves) longest_ = std::max(longest_, half.digits.size());
  }

  void fold(size_t begin, size_t size, Affine* out) {
    fill_table(begin, size);
    std::fill_n(out, size, Affine::infinity());
    for (size_t bit = longest_; bit-- > 0;) {
      for (size_t i = 0; i < size; ++i) adder_.dbl(out + i, out + i);
      adder_.flush();
      for (size_t h = 0; h < halves_.size(); ++h) {
        const int digit = bit < halves_[h].digits.size() ? halves_[h].digits[bit] : 0;
        if (digit == 0) continue;
        const Affine* multiples = multiple(h, (digit > 0 ? digit : -digit) / 2);
        for (size_t i = 0; i < size; ++i) adder_.add(out + i, out + i, false, multiples + i, digit < 0);
        adder_.flush();
      }
    }
  }

 private:
  // (2 m + 1) times the points of half h; halves 2j and 2j + 1 belong to weight j.
  Affine* multiple(size_t h, size_t m) { return table_.data() + (h * kOddMultiples + m) * kBlock; }

  void fill_table(size_t begin, size_t size) {
    for (size_t j = 0; j < k_; ++j) {
      const Affine* from = points_ + j * n_ + begin;
      // Twice the points lie, for the time being, where the first image goes.
      Affine* twice = multiple(2 * j + 1, 0);
      for (size_t i = 0; i < size; ++i) {
        adder_.dbl(twice + i, from + i);
        adder_.copy(multiple(2 * j, 0) + i, from + i, false);
      }
      adder_.flush();
      for (int m = 1; m < kOddMultiples; ++m) {
        for (size_t i = 0; i < size; ++i)
          adder_.add(multiple(2 * j, m) + i, multiple(2 * j, m - 1) + i, twice + i);
        adder_.flush();
      }
      for (int m = 0; m < kOddMultiples; ++m) {
        for (size_t i = 0; i < size; ++i) multiple(2 * j + 1, m)[i] = -endomorphism(multiple(2 * j, m)[i]);
      }
    }
  }

  const Affine* points_;
  const size_t k_;
  const size_t n_;
  const std::vector<Half>& halves_;
  size_t longest_ = 0;
  BatchAdder adder_;
  std::vector<Affine> table_;
};

}  // namespace

void fold_points(const Affine* points, const Fr* weights, size_t k, size_t n, Affine* out) {
  std::vector<Half> halves(2 * k);
  for (size_t j = 0; j < k; ++j) {
    const HalfScalars split = split_scalar(weights[j].to_limbs());
    halves[2 * j].digits = wnaf(split.low, 2, kWnafWidth);
    halves[2 * j + 1].digits = wnaf(split.high, 2, kWnafWidth);
  }
  parallel_for(n, 32, [&](size_t begin, size_t end) {
    BlockFold fold(points, k, n, halves);
    for (size_t i = begin; i < end; i += kBlock) fold.fold(i, std::min(kBlock, end - i), out + i);
  });
}

}  // namespace zkcore
