#include <utility>

#include "cuda/sumcheck.cuh"
#include "zkcore/inverse.hpp"

namespace zkcore::cuda {
namespace {

// ---- eq tables of the last j variables for all j: level j + 1 is (level j * (1 - w), level j * w)

constexpr int kInnerVariables = 8;  // kBlock entries
constexpr int kSmallLevels = 10;

struct LevelPoint {
  Fr w[kSmallLevels];  // in the order in which they are added
  int count;
};

__device__ __forceinline__ void grow(const Fr* level, Fr* next, size_t size, size_t i, const Fr& w) {
  const Fr value = load(level + i);
  const Fr high = value * w;
  store(next + i, value - high);
  store(next + size + i, high);
}

// Levels 0 .. count, by one block; level j lies at 2^j.
__global__ void __launch_bounds__(kBlock) small_levels_kernel(LevelPoint point, Fr* levels) {
  if (threadIdx.x == 0) store(levels + 1, Fr::one());
  for (int j = 0; j < point.count; ++j) {
    __syncthreads();
    const size_t size = size_t{1} << j;
    for (size_t i = threadIdx.x; i < size; i += kBlock)
      grow(levels + size, levels + 2 * size, size, i, point.w[j]);
  }
}

__global__ void __launch_bounds__(kBlock) level_kernel(Fr* levels, size_t size, Fr w) {
  const size_t i = thread_index();
  if (i < size) grow(levels + size, levels + 2 * size, size, i, w);
}

// All levels over `variables`, whose last comes first.
void fill_levels(std::span<const Fr> variables, Fr* levels, Stream stream) {
  LevelPoint point{};
  const size_t n = variables.size();
  for (size_t j = 0; j < std::min<size_t>(n, kSmallLevels); ++j)
    point.w[point.count++] = variables[n - 1 - j];
  launch(small_levels_kernel, {dim3(1), kBlock}, stream, point, levels);
  for (size_t j = kSmallLevels; j < n; ++j) {
    const size_t size = size_t{1} << j;
    launch(level_kernel, {dim3(blocks_for(size)), kBlock}, stream, levels, size, variables[n - 1 - j]);
  }
}

// ---- Lagrange

// 1 / prod over i != j of (j - i), for i, j < count.
const std::vector<Fr>& lagrange_scales(size_t count) {
  static const auto known = [] {  // an inversion takes longer than all else that a round leaves to the host
    std::array<std::vector<Fr>, kMaxDegree + 1> all;
    for (size_t n = 0; n < all.size(); ++n) {
      for (size_t j = 0; j < n; ++j) {
        Fr product = Fr::one();
        for (size_t i = 0; i < n; ++i) {
          if (i != j) product *= Fr::from_int64(static_cast<int64_t>(j) - static_cast<int64_t>(i));
        }
        all[n].push_back(inverse(product));
      }
    }
    return all;
  }();
  return known[count];
}

}  // namespace

// ---- SplitEq

SplitEq::SplitEq(std::vector<Fr> point, Stream stream) : point_(std::move(point)) {
  const size_t after = point_.empty() ? 0 : point_.size() - 1;
  inner_variables_ = std::min<size_t>(after, kInnerVariables);
  outer_variables_ = after - inner_variables_;
  levels_ = Array<Fr>((size_t{2} << inner_variables_) + (size_t{2} << outer_variables_), stream);
  const std::span<const Fr> variables = std::span<const Fr>(point_).last(after);
  fill_levels(variables.last(inner_variables_), levels_.data(), stream);
  fill_levels(variables.first(outer_variables_), levels_.data() + (size_t{2} << inner_variables_), stream);
}

void SplitEq::bind(const Fr& r) {
  scale_ = at_zero() + (at_one() - at_zero()) * r;
  ++current_;
}

EqView SplitEq::view() const {
  const size_t after = point_.size() - current_ - 1;
  const size_t inner = std::min(after, inner_variables_);
  const Fr* outer = levels_.data() + (size_t{2} << inner_variables_);
  return {outer + (size_t{1} << (after - inner)), levels_.data() + (size_t{1} << inner),
          static_cast<unsigned>((size_t{1} << inner) - 1)};
}

Fr SplitEq::prefix_sum(size_t count) const {
  const size_t after = point_.size() - current_ - 1;
  if (count >> after) return Fr::one();
  Fr total = Fr::zero();
  Fr path = Fr::one();  // eq of the bits so far
  for (size_t v = 0; v < after; ++v) {
    const Fr& w = point_[current_ + 1 + v];
    const Fr low = path * (Fr::one() - w);
    const bool bit = count >> (after - 1 - v) & 1;
    if (bit) total += low;
    path = bit ? path * w : low;
  }
  return total;
}

// ---- SumcheckState

SumcheckState::SumcheckState(std::unique_ptr<RoundTables> tables, int variables, int degree,
                             std::optional<std::vector<Fr>> eq_point, std::optional<Fr> claim, Stream stream)
    : tables_(std::move(tables)), variables_(variables), degree_(degree), stream_(stream), claim_(claim) {
  if (eq_point) eq_.emplace(std::move(*eq_point), stream);
}

// With e = degree of q: sum_j values[j] L_j(x) + leading * prod_j (x - j), j < e; for e < 2 the line or the
// constant through the values.
Fr SumcheckState::Polynomial::at(const Fr& x) const {
  const size_t n = values.size();
  const std::vector<Fr>& scales = lagrange_scales(n);
  Fr total = Fr::zero();
  Fr all = Fr::one();
  for (size_t j = 0; j < n; ++j) {
    Fr weight = scales[j];
    for (size_t i = 0; i < n; ++i) {
      if (i != j) weight *= x - Fr::from_uint64(i);
    }
    total += values[j] * weight;
    all *= x - Fr::from_uint64(j);
  }
  return total + leading * all;
}

Fr SumcheckState::line(const Fr& x) const {
  return eq_ ? eq_->at_zero() + (eq_->at_one() - eq_->at_zero()) * x : Fr::one();
}

Fr SumcheckState::sum_at(int x, size_t pairs) {
  const EqView view = eq_ ? eq_->view() : EqView{};
  tables_->sum(Points::kSingle, {x}, eq_ ? &view : nullptr, pairs, nullptr);
  return tables_->collect(eq_ ? &*eq_ : nullptr, pairs)[0];
}

// Launches the round's sums, with what is left to bind, and does not wait: the host has other things to do.
void SumcheckState::start() {
  const size_t pairs = size_t{1} << (variables_ - 1);
  const int e = tables_->degree();
  end_ = line(Fr::one()).is_zero();  // then the claim says nothing about q(1): sum there
  both_ = e == 2 && !claim_ && !pending_ && tables_->sums_both_ends();
  const Points points = both_    ? Points::kBothLeading
                        : e <= 1 ? Points::kEnd
                        : e == 2 ? Points::kEndLeading
                        : e == 3 ? Points::kEndLeadingTwo
                                 : Points::kEndLeadingTwoThree;
  const EqView view = eq_ ? eq_->view() : EqView{};
  tables_->sum(points, {end_}, eq_ ? &view : nullptr, pairs, pending_ ? &*pending_ : nullptr);
  pending_.reset();
  started_ = true;
  const Fr other = line(end_ ? Fr::zero() : Fr::one());  // while the device is at work
  inverse_other_ = other == Fr::one() ? other : other.is_zero() ? Fr::zero() : inverse(other);
}

const SumcheckState::Polynomial& SumcheckState::polynomial() {
  if (polynomial_) return *polynomial_;
  if (!started_) start();
  started_ = false;
  const size_t pairs = size_t{1} << (variables_ - 1);
  const int e = tables_->degree();
  const Fr at_zero = line(Fr::zero());
  const Fr at_one = line(Fr::one());
  const bool end = end_;
  const bool both = both_;
  const std::vector<Fr> sums = tables_->collect(eq_ ? &*eq_ : nullptr, pairs);

  Polynomial q;
  q.values.resize(static_cast<size_t>(std::max(e, 2)));
  q.values[both ? 0 : end] = sums[0];
  if (both) {
    q.values[1] = sums[2];
    claim_ = at_zero * q.values[0] + at_one * q.values[1];
  } else if (claim_ && !inverse_other_.is_zero()) {
    q.values[!end] = (*claim_ - (end ? at_one : at_zero) * sums[0]) * inverse_other_;
  } else {
    q.values[!end] = sum_at(!end, pairs);
    claim_ = at_zero * q.values[0] + at_one * q.values[1];
  }
  if (e >= 2) q.leading = sums[1];
  for (int x = 2; x < e; ++x) {
    const auto at = static_cast<size_t>(x);
    q.values[at] = x < 4 ? sums[at] : sum_at(x, pairs);
  }
  return polynomial_.emplace(std::move(q));
}

std::vector<Fr> SumcheckState::round() {
  const Polynomial& q = polynomial();
  std::vector<Fr> values;
  for (int x = 0; x <= degree_; ++x) {
    if (x == 1) continue;
    const Fr at = Fr::from_uint64(static_cast<uint64_t>(x));
    const bool known = static_cast<size_t>(x) < q.values.size();
    values.push_back((known ? q.values[static_cast<size_t>(x)] : q.at(at)) * line(at));
  }
  return values;
}

void SumcheckState::bind(const Fr& challenge) {
  if (started_) tables_->collect(eq_ ? &*eq_ : nullptr, size_t{1} << (variables_ - 1));  // not asked for
  started_ = false;
  if (pending_) tables_->bind(size_t{1} << variables_, *pending_);
  pending_ = challenge;
  const Fr scale = line(challenge);
  if (eq_) eq_->bind(challenge);
  if (--variables_ > 0) start();  // the rest while the device is at work
  claim_.reset();
  if (polynomial_) claim_ = polynomial_->at(challenge) * scale;
  polynomial_.reset();
}

std::vector<Fr> SumcheckState::finals() {
  if (pending_) tables_->bind(1, *pending_);
  pending_.reset();
  return tables_->finals();
}

}  // namespace zkcore::cuda
