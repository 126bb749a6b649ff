#include "zkcore/fraction_tree.hpp"

#include <algorithm>
#include <utility>

#include "cpu/parallel.hpp"
#include "zkcore/field_counters.hpp"

namespace zkcore {
namespace {

constexpr size_t kGrain = 512;  // nodes that are worth a task

// p0 + batch * q0, p1, q0, q1 of the parents of nodes that are made whenever they are read: of leaves, and of
// layers that may not be held. So are the tables bound to the first challenges, `rounds` - 1 of them:
//
//   table(r_1, ..., r_k, x) = sum over t in {0, 1}^k of eq(r, t) table(t, x)
class UnheldTables : public TableSource {
 public:
  UnheldTables(const TreeNodes& nodes, size_t depth, size_t rounds, const Fr& batch)
      : nodes_(nodes), depth_(depth), rounds_(rounds), variables_(depth - 1), batch_(batch), eq_{Fr::one()} {}
  int tables() const override { return 4; }
  size_t used() const override { return std::min(size_t{1} << variables_, nodes_.used(depth_)); }
  Fr tail(int table) const override { return table == 0 ? batch_ : table == 1 ? Fr::zero() : Fr::one(); }
  int bits(int) const override { return 0; }

  void load(size_t begin, size_t count, Lane* lanes, LaneRoom* room) const override {
    for (int j = 0; j < 4; ++j) lanes[j] = {room[j].field, nullptr};
    if (eq_.size() == 1) return load_unbound(begin, count, room);
    LaneRoom own[4];
    for (int j = 0; j < 4; ++j) std::fill_n(room[j].field, count, Fr::zero());
    for (size_t t = 0; t < eq_.size(); ++t) {
      load_unbound((t << variables_) + begin, count, own);
      for (int j = 0; j < 4; ++j) {
        for (size_t i = 0; i < count; ++i) room[j].field[i] += eq_[t] * own[j].field[i];
      }
    }
  }
  void count_pass() const override {
    nodes_.count_pass(depth_);
    const size_t all = nodes_.used(depth_);
    count_field_mults(eq_.size() == 1 ? all : 5 * all);
  }

  bool bind_unheld(const Fr& challenge) override {
    if (rounds_ < 2) return false;
    std::vector<Fr> longer;
    for (const Fr& value : eq_) {
      const Fr at_one = value * challenge;
      longer.push_back(value - at_one);
      longer.push_back(at_one);
    }
    count_field_mults(eq_.size());
    eq_ = std::move(longer);
    --variables_;
    --rounds_;
    return true;
  }

 private:
  void load_unbound(size_t begin, size_t count, LaneRoom* room) const {
    Fr p[2 * kLaneSize], q[2 * kLaneSize];
    nodes_.load(depth_, 2 * begin, 2 * count, p, q);
    for (size_t i = 0; i < count; ++i) {
      room[0].field[i] = p[2 * i] + batch_ * q[2 * i];
      room[1].field[i] = p[2 * i + 1];
      room[2].field[i] = q[2 * i];
      room[3].field[i] = q[2 * i + 1];
    }
  }

  const TreeNodes& nodes_;
  size_t depth_, rounds_;
  size_t variables_;  // that are not bound
  Fr batch_;
  std::vector<Fr> eq_;  // over the bound variables
};

// Calls body(begin, end) on pieces of at most `size` of [0, n), in parallel.
template <class Body>
void parallel_blocks(size_t n, size_t size, Body body) {
  parallel_for((n + size - 1) / size, kGrain / size + 1, [&](size_t first, size_t last) {
    for (size_t b = first; b < last; ++b) body(b * size, std::min(n, (b + 1) * size));
  });
}

}  // namespace

// ---- LeafRuns

LeafRuns::LeafRuns(std::vector<LeafRun> runs) : runs_(std::move(runs)), starts_{0} {
  for (const LeafRun& run : runs_) starts_.push_back(starts_.back() + run.size);
}

void LeafRuns::load(size_t begin, size_t count, Fr* p, Fr* q) const {
  const size_t end = begin + count;
  size_t at = begin;
  size_t r = static_cast<size_t>(std::upper_bound(starts_.begin(), starts_.end(), at) - starts_.begin()) - 1;
  for (; at < end && r < runs_.size(); ++r) {
    const LeafRun& run = runs_[r];
    const size_t stop = std::min(end, starts_[r + 1]);
    for (; at < stop; at += std::min(stop - at, LinearForm::kMaxCount)) {
      const size_t n = std::min(stop - at, LinearForm::kMaxCount);
      run.numerator.load(at - starts_[r], n, p + (at - begin));
      run.denominator.load(at - starts_[r], n, q + (at - begin));
    }
  }
  std::fill(p + (at - begin), p + count, Fr::zero());
  std::fill(q + (at - begin), q + count, Fr::one());
}

void LeafRuns::count_pass() const {
  for (const LeafRun& run : runs_) {
    count_field_mults(run.size * (run.numerator.field_mults() + run.denominator.field_mults()));
    count_small_mults(run.size * (run.numerator.small_mults() + run.denominator.small_mults()));
  }
}

// ---- TreeNodes

size_t TreeNodes::count(size_t depth) const {
  const size_t below = log_size_ - depth;
  return (leaves_.size() + (size_t{1} << below) - 1) >> below;
}

// Depth first, so that of each depth below there are only the children of a few nodes.
void TreeNodes::load(size_t depth, size_t begin, size_t count, Fr* p, Fr* q) const {
  if (depth == log_size_) return leaves_.load(begin, count, p, q);
  const size_t end = begin + count, stored = std::clamp(this->count(depth), begin, end);
  Fr below_p[2 * kLaneSize], below_q[2 * kLaneSize];
  for (size_t at = begin; at < stored; at += kLaneSize) {
    const size_t n = std::min(kLaneSize, stored - at);
    load(depth + 1, 2 * at, 2 * n, below_p, below_q);
    for (size_t i = 0; i < n; ++i) {
      const Fraction value =
          add_fractions(below_p[2 * i], below_p[2 * i + 1], below_q[2 * i], below_q[2 * i + 1]);
      p[at - begin + i] = value.p;
      q[at - begin + i] = value.q;
    }
  }
  std::fill(p + (stored - begin), p + count, Fr::zero());
  std::fill(q + (stored - begin), q + count, Fr::one());
}

void TreeNodes::count_pass(size_t depth) const {
  leaves_.count_pass();
  for (size_t d = depth; d < log_size_; ++d) count_field_mults(3 * count(d));
}

// ---- FractionLayer

FractionLayer::FractionLayer(std::unique_ptr<TableSource> tables, std::vector<Fr> point, const Fr& batch)
    : sumcheck_(std::move(tables), static_cast<int>(point.size()), {{Fr::one(), {0, 3}}, {Fr::one(), {1, 2}}},
                3, point),
      batch_(batch) {}

std::vector<Fr> FractionLayer::finals() const {
  std::vector<Fr> values = sumcheck_.finals();
  values[0] -= batch_ * values[2];
  return values;
}

// ---- FractionTree

FractionTree::FractionTree(std::vector<LeafRun> runs, int log_size, const TreePlan& plan)
    : nodes_(std::move(runs), log_size), plan_(plan), layers_(static_cast<size_t>(log_size) + 1) {
  if (log_size < 2) {
    nodes_.load(0, 0, 1, &root_.p, &root_.q);
    if (log_size == 1) nodes_.count_pass(0);
    return;
  }
  const size_t stored = plan_.stored(nodes_.log_size());
  layers_[stored] = from_leaves(stored);
  for (size_t depth = stored; depth-- > 1;) layers_[depth] = above(layers_[depth + 1]);
  const Layer& top = layers_[1];
  root_ =
      top.used ? add_fractions(top.p0[0], top.p1[0], top.q0[0], top.q1[0]) : Fraction{Fr::zero(), Fr::one()};
  count_field_mults(3 * top.used);
}

FractionTree::Layer FractionTree::make_layer(size_t nodes) {
  Layer layer;
  layer.built = true;
  layer.used = (nodes + 1) / 2;
  for (auto* part : {&layer.p0, &layer.p1, &layer.q0, &layer.q1}) *part = make_field_buffer(layer.used);
  if (nodes % 2 == 1) {
    layer.p1[layer.used - 1] = Fr::zero();
    layer.q1[layer.used - 1] = Fr::one();
  }
  return layer;
}

void FractionTree::store_node(Layer& layer, size_t node, const Fraction& value) {
  (node % 2 ? layer.p1 : layer.p0)[node / 2] = value.p;
  (node % 2 ? layer.q1 : layer.q0)[node / 2] = value.q;
}

FractionTree::Layer FractionTree::from_leaves(size_t depth) const {
  const size_t nodes = nodes_.count(depth);
  Layer layer = make_layer(nodes);
  parallel_blocks(nodes, kLaneSize, [&](size_t begin, size_t end) {
    Fr p[kLaneSize], q[kLaneSize];
    nodes_.load(depth, begin, end - begin, p, q);
    for (size_t y = begin; y < end; ++y) store_node(layer, y, {p[y - begin], q[y - begin]});
  });
  nodes_.count_pass(depth);
  return layer;
}

FractionTree::Layer FractionTree::above(const Layer& below) {
  Layer layer = make_layer(below.used);
  parallel_for(below.used, kGrain, [&](size_t begin, size_t end) {
    for (size_t y = begin; y < end; ++y) {
      store_node(layer, y, add_fractions(below.p0[y], below.p1[y], below.q0[y], below.q1[y]));
    }
  });
  count_field_mults(3 * below.used);
  return layer;
}

std::unique_ptr<TableSource> FractionTree::tables(Layer nodes, const Fr& batch) {
  parallel_for(nodes.used, kGrain, [&](size_t begin, size_t end) {
    for (size_t y = begin; y < end; ++y) nodes.p0[y] += batch * nodes.q0[y];
  });
  count_field_mults(nodes.used);
  std::vector<ArrayTables::Table> tables;
  tables.push_back(ArrayTables::own(std::move(nodes.p0), nodes.used, batch));
  tables.push_back(ArrayTables::own(std::move(nodes.p1), nodes.used, Fr::zero()));
  tables.push_back(ArrayTables::own(std::move(nodes.q0), nodes.used, Fr::one()));
  tables.push_back(ArrayTables::own(std::move(nodes.q1), nodes.used, Fr::one()));
  return std::make_unique<ArrayTables>(std::move(tables), nodes.used);
}

std::unique_ptr<FractionLayer> FractionTree::layer(std::vector<Fr> point, const Fr& batch) {
  const size_t children = point.size() + 1;
  const bool leaves = children == nodes_.log_size();
  Layer nodes = std::exchange(layers_[children], Layer{});
  const size_t rounds = nodes.built ? 0 : plan_.rounds(point.size(), nodes_.used(children), leaves);
  std::unique_ptr<TableSource> source;
  if (leaves || rounds > 0) {
    source = std::make_unique<UnheldTables>(nodes_, children, rounds, batch);
  } else {
    source = tables(nodes.built ? std::move(nodes) : from_leaves(children), batch);
  }
  return std::make_unique<FractionLayer>(std::move(source), std::move(point), batch);
}

}  // namespace zkcore
