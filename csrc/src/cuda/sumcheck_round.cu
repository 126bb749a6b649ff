// Rounds over columns: terms c * table * table * ..., interpreted step by step, every table read once a
// round.
//
// Table j has its first entries f(0, x) at x and f(1, x) half a table on. Binding overwrites a table that is
// the prover's own: index i reads entries i, i + n/4, i + n/2, i + 3n/4 and writes i and i + n/4.
#include <cstring>

#include "cuda/pair_round.cuh"
#include "cuda/sumcheck.cuh"
#include "zkcore/field_counters.hpp"

namespace zkcore::cuda {
namespace {

constexpr int kMaxTables = 24;  // of one launch
constexpr int kMaxSteps = 48;

struct TableView {
  const void* data;
  Fr* bound;  // room for the bound table
  ColumnType type;
};

struct Step {
  uint8_t table;
  bool first, last;  // factor of its term
  bool full;         // the term has the highest degree and so a share in the leading coefficient
  bool binds;        // the first step to read this table, in a round that binds
};

// ---- entries

// f(r, x) from integers: at_zero and at_one add up to one, so the bias is a constant.
template <class T>
__device__ __forceinline__ Fr bind_entries(T lo, T hi, const BindChallenge& c) {
  if constexpr (sizeof(T) == 8) {
    const Fr low = entry(lo);
    return low + (entry(hi) - low) * c.r;
  } else {
    constexpr Fr start = -two_to<64 + kBiasBits<T>>();
    SmallSum sum(start);
    sum.add(shifted(lo), c.at_zero);
    sum.add(shifted(hi), c.at_one);
    return sum.lower();
  }
}

__device__ __forceinline__ Fr bound_field(const TableView& t, size_t i, size_t half, const BindChallenge& c) {
  const Fr* data = static_cast<const Fr*>(t.data);
  const Fr lo = load_once(data + i);
  return lo + (load_once(data + i + half) - lo) * c.r;
}
__device__ __forceinline__ Fr bound_entry(const TableView& t, size_t i, size_t half, const BindChallenge& c) {
  if (t.type == ColumnType::kField) return bound_field(t, i, half, c);
  return with_entry(t.type, t.data, i, [&](auto lo) {
    return bind_entries(lo, static_cast<const decltype(lo)*>(t.data)[i + half], c);
  });
}

__global__ void __launch_bounds__(kBlock) bind_kernel(TableView table, size_t half, BindChallenge challenge) {
  for (size_t i = thread_index(); i < half; i += thread_count()) {
    store(table.bound + i, bound_entry(table, i, half, challenge));
  }
}

// ---- terms

template <Points kPoints, bool kFused, bool kEqFactor>
struct TermsBody {
  static constexpr int kSums = point_count(kPoints);
  static constexpr bool kEq = kEqFactor;
  // Where registers would spill.
  static constexpr bool kCrowded = kSums > 3 || (kSums == 3 && kEqFactor);
  using Sums = std::conditional_t<kCrowded, MixedSums<kCrowded ? kSums : 3>, ProductSums<kSums>>;

  TableView tables[kMaxTables];
  Step steps[kMaxSteps];
  int count;
  size_t pairs;
  BindChallenge challenge;
  PointChoice choice;

  __device__ __forceinline__ void read(const Step& step, size_t i, Fr& lo, Fr& hi) const {
    const TableView& t = tables[step.table];
    if constexpr (!kFused) {
      lo = field_entry(t.type, t.data, i);
      hi = field_entry(t.type, t.data, i + pairs);
    } else if (step.binds) {
      lo = bound_entry(t, i, 2 * pairs, challenge);
      hi = bound_entry(t, i + pairs, 2 * pairs, challenge);
      store(t.bound + i, lo);
      store(t.bound + i + pairs, hi);
    } else {
      lo = load(t.bound + i);
      hi = load(t.bound + i + pairs);
    }
  }

  __device__ __forceinline__ void add(size_t i, const Fr& eq, Sums& sums) const {
    Fr product[kSums], total[kSums];
#pragma unroll
    for (int k = 0; k < kSums; ++k) product[k] = total[k] = Fr::zero();
#pragma unroll 1
    for (int s = 0; s < count; ++s) {
      const Step step = steps[s];
      Fr lo, hi;
      read(step, i, lo, hi);
      at_points<kPoints>(lo, hi, choice, [&](int k, const Fr& value, bool leading) {
        if (leading && !step.full) return;
        if constexpr (kEqFactor) {
          product[k] = step.first ? value : product[k] * value;
          if (step.last) total[k] += product[k];
        } else if (step.first) {
          product[k] = value;
          if (step.last) sums.add(k, value);
        } else if (step.last) {
          sums.add(k, product[k], value);
        } else {
          product[k] *= value;
        }
      });
    }
    if constexpr (kEqFactor) {
#pragma unroll
      for (int k = 0; k < kSums; ++k) sums.add(k, eq, total[k]);
    }
  }
};

// ---- one product of two tables: the common case, without a loop over steps

struct ProductTables {
  TableView of[2];
  size_t pairs;
  BindChallenge challenge;
  int end;

  template <bool kBind, bool kFields>
  __device__ __forceinline__ Fr entry(int table, size_t y) const {
    const TableView& t = of[table];
    if constexpr (kFields && !kBind) return load_once(static_cast<const Fr*>(t.data) + y);
    if constexpr (!kBind) return field_entry(t.type, t.data, y);
    if constexpr (kFields) return bound_field(t, y, 2 * pairs, challenge);
    return bound_entry(t, y, 2 * pairs, challenge);
  }
  template <bool kBind>
  __device__ __forceinline__ void prefetch(size_t y) const {
#pragma unroll
    for (const TableView& t : of) {
      ptx::prefetch(static_cast<const Fr*>(t.data) + y);
      if (kBind) ptx::prefetch(static_cast<const Fr*>(t.data) + y + 2 * pairs);
    }
  }
};

// kFields: neither table holds integers.
template <bool kBind, bool kFields, bool kEq>
__global__ void __launch_bounds__(kBlock, 3)
    product_round_kernel(ProductTables tables, EqView eq, Report report) {
  const PairEnd end;
  const size_t pairs = tables.pairs;
  ProductSum sum;
  for (size_t turn = blockIdx.x; turn * kPairs < pairs; turn += gridDim.x) {
    const size_t i = end.pair(turn);
    const bool active = i < pairs;
    const size_t y = end.entry(active ? i : 0, pairs, tables.end);
    const size_t next = y + static_cast<size_t>(gridDim.x) * kPairs;
    if (kFields && i + static_cast<size_t>(gridDim.x) * kPairs < pairs) tables.template prefetch<kBind>(next);
    const Fr a = tables.template entry<kBind, kFields>(0, y);
    const Fr b = tables.template entry<kBind, kFields>(1, y);
    if (kBind && active) {
      store(tables.of[0].bound + y, a);
      store(tables.of[1].bound + y, b);
    }
    const Fr left = end.value(a);
    const Fr right = end.value(b);
    if constexpr (kEq) {
      sum.add(outer_weight(eq, i, active), left * right);
    } else if (active) {
      sum.add(left, right);
    }
  }
  Fr own = sum.total();
  if constexpr (kEq) own *= inner_weight(eq, end);
  report_pairs(end, own, report);
}

// Both ends and the leading coefficient: the first round, where the claim is not known.
template <bool kEqFactor>
struct ProductBody {
  static constexpr int kSums = 3;
  static constexpr bool kEq = kEqFactor;
  using Sums = ProductSums<kSums>;

  const Fr* data[2];
  size_t pairs;

  __device__ __forceinline__ void prefetch(size_t i) const {
#pragma unroll
    for (const Fr* table : data) {
      ptx::prefetch(table + i);
      ptx::prefetch(table + i + pairs);
    }
  }
  __device__ __forceinline__ void add(size_t i, const Fr& eq, Sums& sums) const {
    const Fr a_lo = load_once(data[0] + i), b_lo = load_once(data[1] + i);
    const Fr a_hi = load_once(data[0] + i + pairs), b_hi = load_once(data[1] + i + pairs);
    Fr left[kSums];
    at_points<Points::kBothLeading>(a_lo, a_hi, {0}, [&](int k, const Fr& v, bool) { left[k] = v; });
    at_points<Points::kBothLeading>(b_lo, b_hi, {0}, [&](int k, const Fr& v, bool) {
      if constexpr (kEqFactor) {
        sums.add(k, eq, left[k] * v);
      } else {
        sums.add(k, left[k], v);
      }
    });
  }
};

// ---- two tables of short integers: the first round, all three points, products as integers

// Sum of P * e for integers |P| <= 2^bits, made unsigned by 2^bits, whose share is taken away at the end; or
// the sum of P alone.
template <bool kEqFactor>
struct IntegerSums {
  SmallSum products[3] = {SmallSum(Fr::zero()), SmallSum(Fr::zero()), SmallSum(Fr::zero())};
  SmallSum weights = SmallSum(Fr::zero());
  int64_t plain[3] = {};
  uint64_t bias = 0;

  __device__ __forceinline__ Fr total(int k) const {
    if constexpr (!kEqFactor) return Fr::from_int64(plain[k]);
    const Fr shifted_sum = products[k].lower() - weights.lower() * Fr::from_uint64(bias);
    return shifted_sum * two_to<64>();
  }
};

template <bool kEqFactor>
struct IntegerBody {
  static constexpr int kSums = 3;
  static constexpr bool kEq = kEqFactor;
  using Sums = IntegerSums<kEqFactor>;

  ColumnType type[2];
  const void* data[2];
  size_t pairs;
  uint64_t bias;

  __device__ __forceinline__ int64_t read(int table, size_t i) const {
    return with_entry(type[table], data[table], i, [](auto x) { return static_cast<int64_t>(x); });
  }
  __device__ __forceinline__ void add(size_t i, const Fr& eq, Sums& sums) const {
    const int64_t a_lo = read(0, i), a_hi = read(0, i + pairs);
    const int64_t b_lo = read(1, i), b_hi = read(1, i + pairs);
    const int64_t products[3] = {a_lo * b_lo, (a_hi - a_lo) * (b_hi - b_lo), a_hi * b_hi};
    if constexpr (kEqFactor) {
      sums.bias = bias;
#pragma unroll
      for (int k = 0; k < 3; ++k) sums.products[k].add(static_cast<uint64_t>(products[k]) + bias, eq);
      sums.weights.add(1u, eq);
    } else {
#pragma unroll
      for (int k = 0; k < 3; ++k) sums.plain[k] += products[k];
    }
  }
};

int integer_bits(ColumnType type) {
  return type == ColumnType::kInt8    ? 8
         : type == ColumnType::kInt16 ? 16
         : type == ColumnType::kInt32 ? 32
                                      : 64;
}

// ---- plan: terms that share a coefficient and fit into one launch

struct Group {
  Fr coefficient;
  std::vector<int> tables;
  std::vector<Step> steps;  // `table` counts in `tables`
};

class TermTables : public RoundTables {
 public:
  TermTables(std::vector<Column> columns, const std::vector<SumcheckTerm>& terms, Stream stream)
      : columns_(std::move(columns)), bound_(columns_.size()), stream_(stream), reports_(stream) {
    for (const SumcheckTerm& term : terms) degree_ = std::max(degree_, static_cast<int>(term.factors.size()));
    for (const SumcheckTerm& term : terms) add_term(term);
    mark_first_reads();
    mailbox_ = std::make_unique<Mailbox>(std::max<size_t>(1, groups_.size()) * Reports::kMaxSums);
  }

  int degree() const override { return degree_; }
  bool sums_both_ends() const override { return true; }

  void sum(Points points, PointChoice choice, const EqView* eq, size_t pairs, const Fr* challenge) override {
    if (challenge) prepare(2 * pairs);
    const BindChallenge bind = challenge ? bind_challenge(*challenge) : BindChallenge{};
    for (size_t g = 0; g < groups_.size(); ++g) {
      const Report report = reports_.to(*mailbox_, g * Reports::kMaxSums);
      count(groups_[g], point_count(points), eq != nullptr, pairs);
      if (points == Points::kBothLeading && integer_round(groups_[g], eq, pairs, report)) continue;
      with_round_kind(points, challenge != nullptr, eq != nullptr, [&](auto p, auto fused, auto with_eq) {
        if (product_round<p(), fused(), with_eq()>(groups_[g], choice, eq, pairs, bind, report)) return;
        TermsBody<p(), fused(), with_eq()> body{};
        fill(groups_[g], body.tables, body.steps, body.count);
        body.pairs = pairs;
        body.challenge = bind;
        body.choice = choice;
        launch_round(body, eq, pairs, report, stream_);
      });
    }
    points_ = points;
    if (!challenge) return;
    for (const size_t j : idle_) bind_table(j, 2 * pairs, bind);
    adopt(2 * pairs);
  }

  std::vector<Fr> collect(const SplitEq* eq, size_t pairs) override {
    mailbox_->wait(stream_);
    std::vector<Fr> sums(static_cast<size_t>(point_count(points_)), Fr::zero());
    for (size_t g = 0; g < groups_.size(); ++g) {
      for (size_t k = 0; k < sums.size(); ++k) {
        const Fr& sum = mailbox_->data()[g * Reports::kMaxSums + k];
        sums[k] += groups_[g].coefficient == Fr::one() ? sum : groups_[g].coefficient * sum;
      }
    }
    const Fr constants = eq ? constant_ : constant_ * Fr::from_uint64(pairs);
    sums[0] += constants;
    for (size_t k = 2; k < sums.size(); ++k) sums[k] += constants;
    return sums;
  }

  void bind(size_t half, const Fr& challenge) override {
    prepare(half);
    const BindChallenge bind = bind_challenge(challenge);
    for (size_t j = 0; j < columns_.size(); ++j) bind_table(j, half, bind);
    adopt(half);
  }

  std::vector<Fr> finals() override {
    const Mailbox room(columns_.size());  // all are waited for together
    for (size_t j = 0; j < columns_.size(); ++j) {
      visit(columns_[j], [&](auto* data) {
        check(cudaMemcpyAsync(room.data() + j, data, sizeof *data, cudaMemcpyDeviceToHost, stream_));
      });
    }
    check(cudaStreamSynchronize(stream_));
    std::vector<Fr> values(columns_.size());
    for (size_t j = 0; j < columns_.size(); ++j) {
      visit(columns_[j], [&](auto* data) {
        std::decay_t<decltype(*data)> value{};
        std::memcpy(&value, room.data() + j, sizeof value);
        values[j] = to_field(value);
      });
    }
    return values;
  }

 private:
  void add_term(const SumcheckTerm& term) {
    if (term.factors.empty()) {
      constant_ += term.coefficient;
      return;
    }
    Group& group = group_for(term);
    for (size_t k = 0; k < term.factors.size(); ++k) {
      const int table = term.factors[k];
      auto at = std::find(group.tables.begin(), group.tables.end(), table);
      if (at == group.tables.end()) at = group.tables.insert(at, table);
      group.steps.push_back({static_cast<uint8_t>(at - group.tables.begin()), k == 0,
                             k + 1 == term.factors.size(), static_cast<int>(term.factors.size()) == degree_,
                             false});
    }
  }
  // In the order of the launches.
  void mark_first_reads() {
    std::vector<bool> seen(columns_.size(), false);
    for (Group& group : groups_) {
      for (Step& step : group.steps) {
        const size_t table = static_cast<size_t>(group.tables[step.table]);
        step.binds = !seen[table];
        seen[table] = true;
      }
    }
    for (size_t j = 0; j < seen.size(); ++j) {
      if (!seen[j]) idle_.push_back(j);
    }
  }
  Group& group_for(const SumcheckTerm& term) {
    for (Group& group : groups_) {
      if (group.coefficient == term.coefficient && group.tables.size() + term.factors.size() <= kMaxTables &&
          group.steps.size() + term.factors.size() <= kMaxSteps) {
        return group;
      }
    }
    return groups_.emplace_back(Group{term.coefficient, {}, {}});
  }

  void fill(const Group& group, TableView* tables, Step* steps, int& count) const {
    for (size_t j = 0; j < group.tables.size(); ++j) tables[j] = view(static_cast<size_t>(group.tables[j]));
    std::copy(group.steps.begin(), group.steps.end(), steps);
    count = static_cast<int>(group.steps.size());
  }
  // The two tables of a group that is one product of different tables.
  std::optional<std::pair<size_t, size_t>> factors(const Group& group) const {
    if (group.steps.size() != 2 || group.tables.size() != 2 || !group.steps[0].full) return std::nullopt;
    return std::pair(static_cast<size_t>(group.tables[0]), static_cast<size_t>(group.tables[1]));
  }

  // Whether the group is one product, all of whose tables are read here first.
  template <Points kPoints, bool kFused, bool kEq>
  bool product_round(const Group& group, PointChoice choice, const EqView* eq, size_t pairs,
                     const BindChallenge& challenge, const Report& report) {
    const auto tables = factors(group);
    if (!tables || !(group.steps[0].binds && group.steps[1].binds)) return false;
    const auto [a, b] = *tables;
    const bool fields = columns_[a].type == ColumnType::kField && columns_[b].type == ColumnType::kField;
    if constexpr (kPoints == Points::kBothLeading) {
      if (!fields) return false;
      launch_round(ProductBody<kEq>{{field_data(a), field_data(b)}, pairs}, eq, pairs, report, stream_);
      return true;
    } else if constexpr (kPoints == Points::kEndLeading) {
      const ProductTables product{{view(a), view(b)}, pairs, challenge, choice.x};
      const auto kernel =
          fields ? product_round_kernel<kFused, true, kEq> : product_round_kernel<kFused, false, kEq>;
      launch(kernel, pair_shape(kernel, pairs), stream_, product, eq ? *eq : EqView{}, report);
      return true;
    }
    return false;
  }

  bool integer_round(const Group& group, const EqView* eq, size_t pairs, const Report& report) {
    constexpr int kMostBits = 48;        // products and their sums stay below 2^64
    constexpr size_t kMostPairs = 4096;  // of one thread
    const auto tables = factors(group);
    if (!tables) return false;
    const auto [a, b] = *tables;
    const int bits = integer_bits(columns_[a].type) + integer_bits(columns_[b].type);
    const size_t threads = size_t{kBlock} * static_cast<size_t>(multiprocessors());
    if (bits > kMostBits || pairs / threads >= kMostPairs) return false;
    const auto run = [&](auto with_eq) {
      launch_round(IntegerBody<with_eq()>{{columns_[a].type, columns_[b].type},
                                          {columns_[a].data, columns_[b].data},
                                          pairs,
                                          uint64_t{1} << bits},
                   eq, pairs, report, stream_);
    };
    eq ? run(std::true_type{}) : run(std::false_type{});
    return true;
  }

  const Fr* field_data(size_t j) const { return static_cast<const Fr*>(columns_[j].data); }
  TableView view(size_t j) const { return {columns_[j].data, bound_[j].data(), columns_[j].type}; }

  void prepare(size_t half) {
    for (Array<Fr>& room : bound_) {
      if (!room) room = Array<Fr>(half, stream_);
    }
  }
  void bind_table(size_t j, size_t half, const BindChallenge& challenge) {
    launch(bind_kernel, looping(bind_kernel, half), stream_, view(j), half, challenge);
  }
  void adopt(size_t half) {
    for (size_t j = 0; j < columns_.size(); ++j) {
      columns_[j].type == ColumnType::kField ? count_field_mults(half) : count_small_mults(2 * half);
      columns_[j] = field_column(bound_[j].data(), half);
    }
  }
  // Products of field elements at `points` points.
  static void count(const Group& group, int points, bool eq, size_t pairs) {
    size_t terms = 0;
    for (const Step& step : group.steps) terms += step.last;
    count_field_mults(static_cast<size_t>(points) * pairs * (group.steps.size() - terms + (eq ? 1 : 0)));
  }

  std::vector<Column> columns_;   // the tables as they are now
  std::vector<Array<Fr>> bound_;  // their room once they are bound
  Stream stream_;
  Reports reports_;
  std::unique_ptr<Mailbox> mailbox_;
  std::vector<Group> groups_;
  std::vector<size_t> idle_;  // tables that no term reads
  Fr constant_ = Fr::zero();  // sum of the terms without factors
  int degree_ = 0;
  Points points_ = Points::kEnd;  // of the last pass
};

}  // namespace

std::unique_ptr<Prover> sumcheck(std::vector<Column> tables, int variables, std::vector<SumcheckTerm> terms,
                                 int degree, std::optional<std::vector<Fr>> eq_point, Stream stream) {
  return std::make_unique<SumcheckState>(std::make_unique<TermTables>(std::move(tables), terms, stream),
                                         variables, degree, std::move(eq_point), std::nullopt, stream);
}

}  // namespace zkcore::cuda
