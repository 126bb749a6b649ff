#include <algorithm>

#include "cuda/leaves.cuh"
#include "zkcore/field_counters.hpp"
#include "zkcore/inverse.hpp"

namespace zkcore::cuda {
namespace {

template <class T>
Array<T> upload(const std::vector<T>& values, Stream stream) {
  Array<T> out(values.size(), stream);
  copy_to_device(out.data(), values.data(), values.size() * sizeof(T), stream);
  return out;
}

bool is_short(ColumnType type) { return type != ColumnType::kInt64 && type != ColumnType::kField; }

// Whether whole words, and whole pairs, make up the column.
bool pairs_lie_evenly(const Column& column) {
  return is_short(column.type) && reinterpret_cast<uintptr_t>(column.data) % (2 * sizeof(uint32_t)) == 0;
}

Pairing pairing(const LeafRun& run, size_t begin) {
  const bool even = begin % 2 == 0 && run.size % 4 == 0;
  if (!even || run.denominator.size() > LeafRunView::kMostPaired) return Pairing::kNone;
  for (const auto& [coefficient, column] : run.denominator) {
    if (!pairs_lie_evenly(column)) return Pairing::kNone;
  }
  if (run.numerator.type == ColumnType::kField) return Pairing::kPairs;
  if (!pairs_lie_evenly(run.numerator)) return Pairing::kNone;
  return run.numerator.type == ColumnType::kInt8 ? Pairing::kBytes : Pairing::kPairs;
}

// 2^bias of an integer type.
Fr bias(ColumnType type) {
  return type == ColumnType::kInt8    ? two_to<kBiasBits<int8_t>>()
         : type == ColumnType::kInt16 ? two_to<kBiasBits<int16_t>>()
                                      : two_to<kBiasBits<int32_t>>();
}

}  // namespace

Leaves::Leaves(std::vector<LeafRun> runs, Stream stream) : stream_(stream) {
  for (LeafRun& run : runs) {
    if (run.size > 0) runs_.push_back(std::move(run));
  }
  std::vector<LeafRunView> views;
  std::vector<LeafColumn> columns;
  for (const LeafRun& run : runs_) {
    const auto first = static_cast<uint32_t>(columns.size());
    columns.push_back({run.numerator.data, run.numerator.type});
    for (const auto& [coefficient, column] : run.denominator) columns.push_back({column.data, column.type});
    views.push_back(
        {size_, size_ + run.size, first, static_cast<uint32_t>(columns.size()), pairing(run, size_)});
    size_ += run.size;
  }
  const auto none = static_cast<uint32_t>(columns.size());
  views.push_back({size_, ~size_t{0}, none, none, Pairing::kBytes});
  column_count_ = columns.size();
  wide_ = std::any_of(columns.begin(), columns.end(), [](const LeafColumn& c) { return !is_short(c.type); });
  run_views_ = upload(views, stream);
  columns_ = upload(columns, stream);
}

// Appends one start a run and one coefficient a column in all forms, all times `factor`.
void Leaves::fill(const Fr& batch, const Fr& factor, std::vector<Fr>& starts,
                  std::vector<Fr>& coefficients) const {
  std::array<Fr, kForms> p, q;
  p.fill(factor);
  q.fill(factor);
  p[kDenominator] = q[kNumerator] = Fr::zero();
  q[kMerged] *= batch;
  p[kCompleted] *= inverse_;
  for (const LeafRun& run : runs_) {
    std::array<Fr, kForms> start;
    for (int form = 0; form < kForms; ++form) start[form] = lift(run.constant * q[form]);
    const auto add = [&](const Fr& coefficient, const std::array<Fr, kForms>& factors, ColumnType type) {
      for (int form = 0; form < kForms; ++form) {
        coefficients.push_back(lift(coefficient * factors[form]));
        if (is_short(type)) start[form] -= coefficients.back() * bias(type);
      }
    };
    add(Fr::one(), p, run.numerator.type);
    for (const auto& [coefficient, column] : run.denominator) add(coefficient, q, column.type);
    starts.insert(starts.end(), start.begin(), start.end());
  }
  for (const Fr& factor_of_one : q) starts.push_back(lift(factor_of_one));  // outside all runs: 0/1
}

LeafView Leaves::view(const Fr& batch, const Fr* challenge) {
  std::vector<Fr> starts, coefficients;
  inverse_ = batch.is_zero() ? Fr::zero() : inverse(batch);
  fill(batch, challenge ? Fr::one() - *challenge : Fr::one(), starts, coefficients);
  if (challenge) fill(batch, *challenge, starts, coefficients);
  tables_ = {upload(starts, stream_), upload(coefficients, stream_)};
  const Fr correction = -inverse_ * Fr::r_squared();
  return {run_views_.data(),
          columns_.data(),
          tables_.starts.data(),
          tables_.coefficients.data(),
          static_cast<uint32_t>(runs_.size() + 1),
          static_cast<uint32_t>(column_count_),
          !batch.is_zero(),
          correction,
          -correction * two_to<2 * kBiasBits<int8_t> + 3>()};
}

void Leaves::count_pass() const {
  for (const LeafRun& run : runs_) {
    count_small_mults(run.size);
    for (const auto& [coefficient, column] : run.denominator) {
      column.type == ColumnType::kField ? count_field_mults(run.size) : count_small_mults(run.size);
    }
  }
}

}  // namespace zkcore::cuda
