#include <algorithm>

#include "cuda/leaves.cuh"
#include "zkcore/field_counters.hpp"

namespace zkcore::cuda {
namespace {

template <class T>
Array<T> upload(const std::vector<T>& values, Stream stream) {
  Array<T> out(values.size(), stream);
  copy_to_device(out.data(), values.data(), values.size() * sizeof(T), stream);
  return out;
}

bool is_short(ColumnType type) { return type != ColumnType::kInt64 && type != ColumnType::kField; }

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
    views.push_back({size_, size_ + run.size, first, static_cast<uint32_t>(columns.size())});
    size_ += run.size;
  }
  const auto none = static_cast<uint32_t>(columns.size());
  views.push_back({size_, ~size_t{0}, none, none});
  column_count_ = columns.size();
  wide_ = std::any_of(columns.begin(), columns.end(), [](const LeafColumn& c) { return !is_short(c.type); });
  run_views_ = upload(views, stream);
  columns_ = upload(columns, stream);
}

// Appends, for each form, one start a run and one coefficient a column, all times `factor`.
void Leaves::fill(const Fr& batch, const Fr& factor, std::vector<Fr>& starts,
                  std::vector<Fr>& coefficients) const {
  for (int form = 0; form < kForms; ++form) {
    const Fr p_factor = form == kDenominator ? Fr::zero() : factor;
    const Fr q_factor = form == kNumerator ? Fr::zero() : form == kMerged ? factor * batch : factor;
    for (const LeafRun& run : runs_) {
      Fr start = lift(run.constant * q_factor);
      const auto add = [&](const Fr& coefficient, ColumnType type) {
        coefficients.push_back(lift(coefficient));
        if (is_short(type)) start -= coefficients.back() * bias(type);
      };
      add(p_factor, run.numerator.type);
      for (const auto& [coefficient, column] : run.denominator) add(coefficient * q_factor, column.type);
      starts.push_back(start);
    }
    starts.push_back(lift(q_factor));  // outside all runs: 0/1
  }
}

LeafView Leaves::view(const Fr& batch, const Fr* challenge) {
  std::vector<Fr> starts, coefficients;
  fill(batch, challenge ? Fr::one() - *challenge : Fr::one(), starts, coefficients);
  if (challenge) fill(batch, *challenge, starts, coefficients);
  tables_ = {upload(starts, stream_), upload(coefficients, stream_)};
  return {run_views_.data(),
          columns_.data(),
          tables_.starts.data(),
          tables_.coefficients.data(),
          static_cast<uint32_t>(runs_.size() + 1),
          static_cast<uint32_t>(column_count_)};
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
