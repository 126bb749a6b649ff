#include "zkcore/fraction_tree.hpp"

#include <algorithm>
#include <utility>

#include "cpu/parallel.hpp"
#include "zkcore/field_counters.hpp"

namespace zkcore {
namespace {

constexpr size_t kGrain = 512;  // nodes that are worth a task

// p0 + batch * q0, p1, q0, q1 of the parents of leaves.
class LeafTables : public TableSource {
 public:
  LeafTables(const LeafRuns& leaves, const Fr& batch) : leaves_(leaves), batch_(batch) {}
  int tables() const override { return 4; }
  size_t used() const override { return (leaves_.size() + 1) / 2; }
  Fr tail(int table) const override { return table == 0 ? batch_ : table == 1 ? Fr::zero() : Fr::one(); }
  int bits(int) const override { return 0; }

  void load(size_t begin, size_t count, Lane* lanes, LaneRoom* room) const override {
    Fr p[2 * kLaneSize], q[2 * kLaneSize];
    leaves_.load(2 * begin, 2 * count, p, q);
    for (size_t i = 0; i < count; ++i) {
      room[0].field[i] = p[2 * i] + batch_ * q[2 * i];
      room[1].field[i] = p[2 * i + 1];
      room[2].field[i] = q[2 * i];
      room[3].field[i] = q[2 * i + 1];
    }
    for (int j = 0; j < 4; ++j) lanes[j] = {room[j].field, nullptr};
  }
  void count_pass() const override {
    leaves_.count_pass();
    count_field_mults(used());
  }

 private:
  const LeafRuns& leaves_;
  Fr batch_;
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

FractionTree::FractionTree(std::vector<LeafRun> runs, int log_size)
    : leaves_(std::move(runs)), log_size_(log_size), layers_(static_cast<size_t>(log_size) + 1) {
  if (log_size == 0) {
    leaves_.load(0, 1, &root_.p, &root_.q);
    return;
  }
  build_above_leaves();
  for (size_t depth = static_cast<size_t>(log_size) - 1; depth-- > 0;) build_above(depth);
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

// Nodes of depth log_size - 1.
void FractionTree::build_above_leaves() {
  const size_t nodes = (leaves_.size() + 1) / 2;
  const bool is_root = log_size_ == 1;
  Layer layer = is_root ? Layer{} : make_layer(nodes);
  if (nodes == 0) root_ = {Fr::zero(), Fr::one()};
  parallel_blocks(nodes, kLaneSize, [&](size_t begin, size_t end) {
    Fr p[2 * kLaneSize], q[2 * kLaneSize];
    leaves_.load(2 * begin, 2 * (end - begin), p, q);
    for (size_t y = begin; y < end; ++y) {
      const size_t i = 2 * (y - begin);
      const Fraction value = add_fractions(p[i], p[i + 1], q[i], q[i + 1]);
      is_root ? void(root_ = value) : store_node(layer, y, value);
    }
  });
  leaves_.count_pass();
  count_field_mults(3 * nodes);
  layers_[static_cast<size_t>(log_size_) - 1] = std::move(layer);
}

// Nodes of this depth from those below.
void FractionTree::build_above(size_t depth) {
  const Layer& below = layers_[depth + 1];
  Layer layer = depth == 0 ? Layer{} : make_layer(below.used);
  if (below.used == 0) root_ = {Fr::zero(), Fr::one()};
  parallel_for(below.used, kGrain, [&](size_t begin, size_t end) {
    for (size_t y = begin; y < end; ++y) {
      const Fraction value = add_fractions(below.p0[y], below.p1[y], below.q0[y], below.q1[y]);
      depth == 0 ? void(root_ = value) : store_node(layer, y, value);
    }
  });
  count_field_mults(3 * below.used);
  layers_[depth] = std::move(layer);
}

// The nodes of a depth between root and leaves, if they are not there.
void FractionTree::build(size_t depth) {
  if (layers_[depth].built) return;
  if (depth + 1 == static_cast<size_t>(log_size_)) return build_above_leaves();
  build(depth + 1);
  build_above(depth);
}

std::unique_ptr<FractionLayer> FractionTree::layer(std::vector<Fr> point, const Fr& batch) {
  const size_t children = point.size() + 1;
  if (children == static_cast<size_t>(log_size_)) {
    return std::make_unique<FractionLayer>(std::make_unique<LeafTables>(leaves_, batch), std::move(point),
                                           batch);
  }
  build(children);
  Layer nodes = std::exchange(layers_[children], Layer{});
  parallel_for(nodes.used, kGrain, [&](size_t begin, size_t end) {
    for (size_t y = begin; y < end; ++y) nodes.p0[y] += batch * nodes.q0[y];
  });
  count_field_mults(nodes.used);
  std::vector<ArrayTables::Table> tables;
  tables.push_back(ArrayTables::own(std::move(nodes.p0), nodes.used, batch));
  tables.push_back(ArrayTables::own(std::move(nodes.p1), nodes.used, Fr::zero()));
  tables.push_back(ArrayTables::own(std::move(nodes.q0), nodes.used, Fr::one()));
  tables.push_back(ArrayTables::own(std::move(nodes.q1), nodes.used, Fr::one()));
  return std::make_unique<FractionLayer>(std::make_unique<ArrayTables>(std::move(tables), nodes.used),
                                         std::move(point), batch);
}

}  // namespace zkcore
