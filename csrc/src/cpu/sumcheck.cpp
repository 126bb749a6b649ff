#include "zkcore/sumcheck.hpp"

#include <algorithm>
#include <utility>

#include "cpu/parallel.hpp"
#include "cpu/sumcheck_round.hpp"
#include "zkcore/field_counters.hpp"

namespace zkcore {
namespace {

constexpr size_t kGrainBlocks = 16;

// Smaller inner tables would be folded into the outer sum too often to pay.
constexpr size_t kMinInnerVariables = 8;

// eq(w, 0) + eq(w, 1) = 1: adding the halves of an eq table drops its first variable.
void drop_first_variable(std::vector<Fr>& table) {
  const size_t half = table.size() / 2;
  for (size_t i = 0; i < half; ++i) table[i] += table[half + i];
  table.resize(half);
}

Fr sum(std::span<const Fr> values) {
  Fr total = Fr::zero();
  for (const Fr& v : values) total += v;
  return total;
}

// The sum of all terms where every table equals its tail.
Fr tail_value(const TableSource& source, std::span<const SumcheckTerm> terms) {
  Fr total = Fr::zero();
  for (const SumcheckTerm& term : terms) {
    Fr product = term.coefficient;
    for (const int j : term.factors) product *= source.tail(j);
    total += product;
  }
  return total;
}

void bind_lane(const Lane& lo, const Lane& hi, const BindChallenge& challenge, size_t count, Fr* out) {
  if (lo.field) {
    for (size_t i = 0; i < count; ++i) out[i] = bind_pair(lo.field[i], hi.field[i], challenge);
  } else {
    for (size_t i = 0; i < count; ++i) out[i] = bind_pair(lo.ints[i], hi.ints[i], challenge);
  }
}

// The bound tables of `source`: entries [0, active) and the old tails. Entry x may be written over the old
// entry x: only its own task reads that, and entries from `half` on are not written.
std::unique_ptr<TableSource> bind_tables(TableSource& source, size_t half, size_t active, const Fr& r) {
  const BindChallenge challenge = bind_challenge(r);
  const size_t count = static_cast<size_t>(source.tables());
  std::vector<ArrayTables::Table> bound(count);
  for (size_t j = 0; j < count; ++j) {
    FieldBuffer room = source.release(static_cast<int>(j));
    if (!room) room = make_field_buffer(active);
    bound[j] = ArrayTables::own(std::move(room), active, source.tail(static_cast<int>(j)));
  }
  parallel_for((active + kLaneSize - 1) / kLaneSize, kGrainBlocks, [&](size_t first, size_t last) {
    std::vector<Lane> lo(count), hi(count);
    std::vector<LaneRoom> lo_room(count), hi_room(count);
    for (size_t x = first * kLaneSize; x < std::min(active, last * kLaneSize); x += kLaneSize) {
      const size_t n = std::min(kLaneSize, active - x);
      source.load(x, n, lo.data(), lo_room.data());
      source.load(x + half, n, hi.data(), hi_room.data());
      for (size_t j = 0; j < count; ++j) bind_lane(lo[j], hi[j], challenge, n, bound[j].owned.get() + x);
    }
  });
  source.count_pass();
  for (size_t j = 0; j < count; ++j) {
    source.bits(static_cast<int>(j)) ? count_small_mults(2 * active) : count_field_mults(active);
  }
  return std::make_unique<ArrayTables>(std::move(bound), active);
}

}  // namespace

// ---- ArrayTables

ArrayTables::Table ArrayTables::own(FieldBuffer entries, size_t size, const Fr& tail) {
  const Column prefix = field_column(entries.get(), size);
  return {prefix, tail, std::move(entries)};
}

int ArrayTables::bits(int table) const {
  switch (tables_[static_cast<size_t>(table)].prefix.type) {
    case ColumnType::kInt8:
      return 7;
    case ColumnType::kInt16:
      return 15;
    case ColumnType::kInt32:
      return 31;
    default:
      return 0;  // 64-bit entries leave no room for differences: handed out as field elements
  }
}

void ArrayTables::load(size_t begin, size_t count, Lane* lanes, LaneRoom* room) const {
  const size_t stored = std::clamp(used_, begin, begin + count) - begin;
  for (size_t j = 0; j < tables_.size(); ++j) {
    visit(tables_[j].prefix, [&](auto* data) {
      using T = std::decay_t<decltype(*data)>;
      if constexpr (kIsField<T>) {
        if (stored == count) {
          lanes[j] = {data + begin, nullptr};
          return;
        }
      } else if constexpr (!std::is_same_v<T, int64_t>) {
        std::copy_n(data + begin, count, room[j].ints);
        lanes[j] = {nullptr, room[j].ints};
        return;
      }
      for (size_t i = 0; i < stored; ++i) room[j].field[i] = to_field(data[begin + i]);
      std::fill(room[j].field + stored, room[j].field + count, tables_[j].tail);
      lanes[j] = {room[j].field, nullptr};
    });
  }
}

// ---- SplitEq

SplitEq::SplitEq(std::vector<Fr> point) : point_(std::move(point)), scale_(Fr::one()) {
  const size_t after = point_.empty() ? 0 : point_.size() - 1;
  const size_t inner = std::min(after, std::max((after + 1) / 2, kMinInnerVariables));
  const std::span<const Fr> variables = std::span<const Fr>(point_).last(after);
  outer_.resize(size_t{1} << (after - inner));
  inner_.resize(size_t{1} << inner);
  eq_table(variables.first(after - inner), Fr::one(), outer_.data());
  eq_table(variables.last(inner), Fr::one(), inner_.data());
}

Fr SplitEq::at_zero() const { return scale_ * (Fr::one() - point_[current_]); }
Fr SplitEq::slope() const { return scale_ * (point_[current_].dbl() - Fr::one()); }

void SplitEq::bind(const Fr& r) {
  scale_ = at_zero() + slope() * r;
  ++current_;
  if (outer_.size() > 1) {
    drop_first_variable(outer_);
  } else if (inner_.size() > 1) {
    drop_first_variable(inner_);
  }
}

Fr SplitEq::prefix_sum(size_t count) const {
  const size_t whole = count / inner_.size();  // the inner table adds up to 1
  const size_t rest = count % inner_.size();
  const Fr total = sum(outer().first(whole));
  return rest ? total + outer_[whole] * sum(inner().first(rest)) : total;
}

// ---- Sumcheck

Sumcheck::Sumcheck(std::unique_ptr<TableSource> source, int variables, std::vector<SumcheckTerm> terms,
                   int degree, std::optional<std::vector<Fr>> eq_point)
    : source_(std::move(source)), variables_(variables), terms_(std::move(terms)), degree_(degree) {
  if (eq_point) eq_.emplace(std::move(*eq_point));
}

std::vector<Fr> Sumcheck::round() const {
  const size_t half = size_t{1} << (variables_ - 1);
  const size_t active = std::min(half, source_->used());
  std::vector<Fr> values = sum_pairs({*source_, terms_, degree_, eq_ ? &*eq_ : nullptr, half, active});
  if (active < half) {
    const Fr weight = eq_ ? Fr::one() - eq_->prefix_sum(active) : Fr::from_uint64(half - active);
    const Fr tails = weight * tail_value(*source_, terms_);
    for (Fr& value : values) value += tails;
  }
  if (eq_) {
    const Fr slope = eq_->slope();
    Fr linear = eq_->at_zero();
    values[0] *= linear;
    linear += slope;  // now at 1
    for (size_t i = 1; i < values.size(); ++i) values[i] *= (linear += slope);
  }
  return values;
}

void Sumcheck::bind(const Fr& challenge) {
  const size_t half = size_t{1} << (variables_ - 1);
  if (!source_->bind_unheld(challenge)) {
    source_ = bind_tables(*source_, half, std::min(half, source_->used()), challenge);
  }
  if (eq_) eq_->bind(challenge);
  --variables_;
}

std::vector<Fr> Sumcheck::finals() const {
  const size_t count = static_cast<size_t>(source_->tables());
  std::vector<Lane> lanes(count);
  std::vector<LaneRoom> room(count);
  source_->load(0, 1, lanes.data(), room.data());
  std::vector<Fr> values(count);
  for (size_t j = 0; j < count; ++j)
    values[j] = lanes[j].field ? lanes[j].field[0] : to_field(lanes[j].ints[0]);
  return values;
}

}  // namespace zkcore
