#include "cpu/sumcheck_round.hpp"

#include <algorithm>
#include <bit>
#include <mutex>

#include "cpu/parallel.hpp"
#include "zkcore/field_counters.hpp"

namespace zkcore {
namespace {

constexpr size_t kGrainBlocks = 16;  // blocks of kLaneSize pairs that are worth a task

// ---- plan: which factors are multiplied as integers, and which terms are added before the product with eq

struct TermPlan {
  std::vector<int> ints;    // tables whose product fits 64 bits at every evaluation point
  std::vector<int> fields;  // the others
};

// How a group's values are summed: each way delays the reduction as far as it can.
enum class SumKind { kIntegers, kScaled, kPlain, kProducts };

struct Group {
  Fr coefficient;
  std::vector<TermPlan> terms;
  SumKind kind;
};

struct Plan {
  std::vector<Group> groups;
  std::vector<int> converted;  // integer tables that some term needs as field elements
};

// |f(X)| <= (2X - 1) max|f| for X >= 1.
int growth_bits(int degree) { return std::bit_width(static_cast<unsigned>(2 * degree - 1)); }

TermPlan plan_term(const SumcheckTerm& term, const RoundInput& input) {
  TermPlan plan;
  int bits = 0;
  for (const int j : term.factors) {
    const int more = input.source.bits(j);
    if (more > 0 && bits + more + growth_bits(input.degree) <= 62) {
      bits += more + growth_bits(input.degree);
      plan.ints.push_back(j);
    } else {
      plan.fields.push_back(j);
    }
  }
  return plan;
}

SumKind sum_kind(const TermPlan& term, bool eq) {
  const size_t fields = term.fields.size() + (eq ? 1 : 0);
  if (!term.ints.empty()) return fields ? SumKind::kScaled : SumKind::kIntegers;
  return fields > 1 ? SumKind::kProducts : SumKind::kPlain;
}

Plan make_plan(const RoundInput& input) {
  Plan plan;
  Group merged{Fr::one(), {}, SumKind::kProducts};  // terms with coefficient 1: one product with eq for all
  for (const SumcheckTerm& term : input.terms) {
    TermPlan t = plan_term(term, input);
    for (const int j : t.fields) {
      if (input.source.bits(j) > 0) plan.converted.push_back(j);
    }
    if (input.eq && t.ints.empty() && !t.fields.empty() && term.coefficient == Fr::one()) {
      merged.terms.push_back(std::move(t));
    } else {
      const SumKind kind = sum_kind(t, input.eq != nullptr);
      plan.groups.push_back({term.coefficient, {std::move(t)}, kind});
    }
  }
  if (!merged.terms.empty()) plan.groups.push_back(std::move(merged));
  std::sort(plan.converted.begin(), plan.converted.end());
  plan.converted.erase(std::unique(plan.converted.begin(), plan.converted.end()), plan.converted.end());
  return plan;
}

// ---- sums

struct Sum {
  i128 integer = 0;
  WideAcc<Fr> scaled;
  ProductAcc<Fr> products;
  Fr plain = Fr::zero();

  Fr total(SumKind kind) const {
    switch (kind) {
      case SumKind::kIntegers:
        return integer_total();
      case SumKind::kScaled:
        return scaled.reduce();
      case SumKind::kProducts:
        return products.reduce();
      case SumKind::kPlain:
        break;
    }
    return plain;
  }

 private:
  Fr integer_total() const {
    const u128 magnitude = integer < 0 ? -static_cast<u128>(integer) : static_cast<u128>(integer);
    const Fr r =
        Fr::from_integer({{static_cast<uint64_t>(magnitude), static_cast<uint64_t>(magnitude >> 64)}});
    return integer < 0 ? -r : r;
  }
};

// ---- a thread's share of the pairs

class Worker {
 public:
  Worker(const RoundInput& input, const Plan& plan)
      : in_(input),
        plan_(plan),
        points_(static_cast<size_t>(input.degree)),
        lo_(lanes()),
        hi_(lanes()),
        value_(lanes()),
        lo_room_(lanes()),
        hi_room_(lanes()),
        value_room_(lanes()),
        step_room_(lanes()),
        sums_(plan.groups.size() * points_),
        totals_(sums_.size(), Fr::zero()) {}

  // Pairs [begin, end), with begin a multiple of the block.
  void run(size_t begin, size_t end, size_t block) {
    const size_t inner = in_.eq ? in_.eq->inner().size() : 0;
    for (size_t x = begin; x < end; x += block) {
      const Fr* weights = inner ? in_.eq->inner().data() + x % inner : nullptr;
      add_block(x, std::min(block, end - x), weights);
      if (inner && ((x + block) % inner == 0 || x + block >= end)) flush(in_.eq->outer()[x / inner]);
    }
    if (!inner) flush(Fr::one());
  }

  const std::vector<Fr>& totals() const { return totals_; }
  uint64_t field_mults() const { return field_mults_; }
  uint64_t small_mults() const { return small_mults_; }

 private:
  size_t lanes() const { return static_cast<size_t>(in_.source.tables()); }

  void add_block(size_t begin, size_t count, const Fr* weights) {
    in_.source.load(begin, count, lo_.data(), lo_room_.data());
    in_.source.load(begin + in_.half, count, hi_.data(), hi_room_.data());
    value_ = lo_;
    for (size_t point = 0; point < points_; ++point) {
      if (point > 0) advance(point, count);
      convert(count);
      for (size_t g = 0; g < plan_.groups.size(); ++g) {
        add_group(plan_.groups[g], count, weights, sums_[g * points_ + point]);
      }
    }
  }

  // From X = 0 to X = 2 (point 1) by f(1) + step, then from each X to the next by one step; step = f(1) -
  // f(0).
  void advance(size_t point, size_t count) {
    for (size_t j = 0; j < lanes(); ++j) {
      LaneRoom& value = value_room_[j];
      LaneRoom& step = step_room_[j];
      if (lo_[j].field) {
        if (point == 1)
          first_step(lo_[j].field, hi_[j].field, count, value.field, step.field);
        else
          next_step(step.field, count, value.field);
        value_[j] = {value.field, nullptr};
      } else {
        if (point == 1)
          first_step(lo_[j].ints, hi_[j].ints, count, value.ints, step.ints);
        else
          next_step(step.ints, count, value.ints);
        value_[j] = {nullptr, value.ints};
      }
    }
  }
  template <class T>
  static void first_step(const T* lo, const T* hi, size_t count, T* value, T* step) {
    for (size_t i = 0; i < count; ++i) step[i] = hi[i] - lo[i];
    for (size_t i = 0; i < count; ++i) value[i] = hi[i] + step[i];
  }
  template <class T>
  static void next_step(const T* step, size_t count, T* value) {
    for (size_t i = 0; i < count; ++i) value[i] += step[i];
  }

  // Integer lanes that are needed as field elements: the field half of their room is free.
  void convert(size_t count) {
    for (const int j : plan_.converted) {
      for (size_t i = 0; i < count; ++i) value_room_[j].field[i] = to_field(value_[j].ints[i]);
      value_[j].field = value_room_[j].field;
      small_mults_ += count;
    }
  }

  void add_group(const Group& group, size_t count, const Fr* weights, Sum& sum) {
    const TermPlan& first = group.terms.front();
    switch (group.kind) {
      case SumKind::kIntegers: {
        const int64_t* z = integer_product(first, count);
        for (size_t i = 0; i < count; ++i) sum.integer += z[i];
        return;
      }
      case SumKind::kScaled: {
        const int64_t* z = integer_product(first, count);
        const Fr* f = field_product(first, weights, count, product_);
        for (size_t i = 0; i < count; ++i) add_signed(sum.scaled, z[i], f[i]);
        small_mults_ += count;
        return;
      }
      case SumKind::kPlain: {
        if (first.fields.empty() && !weights) return add_constant(count, sum);
        const Fr* f = field_product(first, weights, count, product_);
        for (size_t i = 0; i < count; ++i) sum.plain += f[i];
        return;
      }
      case SumKind::kProducts:
        return add_products(group, count, weights, sum);
    }
  }

  // A term without factors stands for the constant 1.
  static void add_constant(size_t count, Sum& sum) { sum.plain += Fr::from_uint64(count); }

  // The last product of a term is left to the sum, which delays half of its work.
  void add_products(const Group& group, size_t count, const Fr* weights, Sum& sum) {
    const Fr* last = weights;
    const Fr* f = nullptr;
    if (weights) {
      f = field_product(group.terms.front(), nullptr, count, product_);
    } else {
      TermPlan head = group.terms.front();
      last = value_[head.fields.back()].field;
      head.fields.pop_back();
      f = field_product(head, nullptr, count, product_);
    }
    for (size_t t = 1; t < group.terms.size(); ++t) {
      const Fr* more = field_product(group.terms[t], nullptr, count, more_);
      for (size_t i = 0; i < count; ++i) product_[i] = f[i] + more[i];
      f = product_;
    }
    for (size_t i = 0; i < count; ++i) sum.products.add(f[i], last[i]);
    field_mults_ += count;
  }

  const int64_t* integer_product(const TermPlan& term, size_t count) {
    const int64_t* z = value_[term.ints[0]].ints;
    for (size_t k = 1; k < term.ints.size(); ++k) {
      const int64_t* factor = value_[term.ints[k]].ints;
      for (size_t i = 0; i < count; ++i) int_product_[i] = z[i] * factor[i];
      z = int_product_;
    }
    return z;
  }

  // Product of the term's field factors and, unless null, `weights`; at least one of them exists.
  const Fr* field_product(const TermPlan& term, const Fr* weights, size_t count, Fr* out) {
    const Fr* f = weights;
    for (const int j : term.fields) {
      const Fr* factor = value_[j].field;
      if (f) {
        for (size_t i = 0; i < count; ++i) out[i] = f[i] * factor[i];
        field_mults_ += count;
        f = out;
      } else {
        f = factor;
      }
    }
    return f;
  }

  void flush(const Fr& weight) {
    for (size_t g = 0; g < plan_.groups.size(); ++g) {
      for (size_t p = 0; p < points_; ++p) {
        const size_t k = g * points_ + p;
        totals_[k] += sums_[k].total(plan_.groups[g].kind) * weight;
        sums_[k] = Sum{};
      }
    }
  }

  const RoundInput& in_;
  const Plan& plan_;
  size_t points_;
  std::vector<Lane> lo_, hi_, value_;
  std::vector<LaneRoom> lo_room_, hi_room_, value_room_, step_room_;
  Fr product_[kLaneSize], more_[kLaneSize];
  int64_t int_product_[kLaneSize];
  std::vector<Sum> sums_;   // since the last flush, [group][point]
  std::vector<Fr> totals_;  // likewise, weighted by the outer table
  uint64_t field_mults_ = 0, small_mults_ = 0;
};

}  // namespace

std::vector<Fr> sum_pairs(const RoundInput& input) {
  const Plan plan = make_plan(input);
  const size_t points = static_cast<size_t>(input.degree);
  const size_t block = input.eq ? std::min(kLaneSize, input.eq->inner().size()) : kLaneSize;
  std::vector<Fr> totals(plan.groups.size() * points, Fr::zero());
  std::mutex mutex;
  parallel_for((input.active + block - 1) / block, kGrainBlocks, [&](size_t first, size_t last) {
    Worker worker(input, plan);
    worker.run(first * block, std::min(input.active, last * block), block);
    const std::lock_guard<std::mutex> lock(mutex);
    for (size_t k = 0; k < totals.size(); ++k) totals[k] += worker.totals()[k];
    count_field_mults(worker.field_mults());
    count_small_mults(worker.small_mults());
  });
  input.source.count_pass();
  std::vector<Fr> values(points, Fr::zero());
  for (size_t k = 0; k < totals.size(); ++k)
    values[k % points] += plan.groups[k / points].coefficient * totals[k];
  return values;
}

}  // namespace zkcore
