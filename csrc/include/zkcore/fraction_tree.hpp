// Sums of fractions by a tree of pairs (p, q), and the sumchecks that reduce each layer to the one below
// (Papini-Haboeck, eprint 2023/1284, section 3; the tree is the GKR circuit of fractional addition).
//
//   p = p0 q1 + p1 q0,  q = q0 q1;  the children of node y are 2y and 2y + 1
//
// Leaves are given as columns and never stored as field elements: whatever reads them computes them on the
// fly. Leaves that no run covers are 0/1, nodes above only such leaves too, and none of these is stored or
// summed one by one.
#pragma once

#include "zkcore/sumcheck.hpp"
#include "zkcore/tree_plan.hpp"

namespace zkcore {

// `size` leaves, numerator and denominator as functions of their columns.
struct LeafRun {
  size_t size;
  LinearForm numerator;
  LinearForm denominator;
};

struct Fraction {
  Fr p, q;
};

ZK_HD ZK_INLINE Fraction add_fractions(const Fr& p0, const Fr& p1, const Fr& q0, const Fr& q1) {
  return {p0 * q1 + p1 * q0, q0 * q1};
}

// The used leaves as one sequence of field elements.
class LeafRuns {
 public:
  explicit LeafRuns(std::vector<LeafRun> runs);
  size_t size() const { return starts_.back(); }
  // Leaves [begin, begin + count); those from size() on are 0/1.
  void load(size_t begin, size_t count, Fr* p, Fr* q) const;
  // Adds to the counters what loading every leaf once costs.
  void count_pass() const;

 private:
  std::vector<LeafRun> runs_;
  std::vector<size_t> starts_;  // of each run, and the end of the last
};

// The sumcheck of one layer. Its tables are p0 + batch * q0, p1, q0, q1, which saves a product a pair:
// (p0 + batch q0) q1 + p1 q0; `finals` takes the batch out again.
class FractionLayer {
 public:
  FractionLayer(std::unique_ptr<TableSource> tables, std::vector<Fr> point, const Fr& batch);
  std::vector<Fr> round() const { return sumcheck_.round(); }
  void bind(const Fr& challenge) { sumcheck_.bind(challenge); }
  std::vector<Fr> finals() const;  // p0, p1, q0, q1
  int variables() const { return sumcheck_.variables(); }

 private:
  Sumcheck sumcheck_;
  Fr batch_;
};

// The nodes of a tree as the leaves make them. Depth `log_size` is that of the leaves.
class TreeNodes {
 public:
  TreeNodes(std::vector<LeafRun> runs, int log_size)
      : leaves_(std::move(runs)), log_size_(static_cast<size_t>(log_size)) {}
  size_t log_size() const { return log_size_; }
  // Nodes of a depth that have leaves under them, and their parents.
  size_t count(size_t depth) const;
  size_t used(size_t depth) const { return (count(depth) + 1) / 2; }
  // Nodes [begin, begin + count) of a depth, used or not, from the leaves; on the way, few are held.
  void load(size_t depth, size_t begin, size_t count, Fr* p, Fr* q) const;
  // Adds to the counters what loading all used nodes of a depth costs.
  void count_pass(size_t depth) const;

 private:
  LeafRuns leaves_;
  size_t log_size_;
};

class FractionTree {
 public:
  // The runs' columns must outlive the tree and its layers; the tree must outlive its layers.
  FractionTree(std::vector<LeafRun> runs, int log_size, const TreePlan& plan);
  int log_size() const { return static_cast<int>(nodes_.log_size()); }
  Fraction root() const { return root_; }
  // point.size() < log_size() is the layer's depth. Its nodes go with it: a layer is proved once, from the
  // root on, and what has been proved needs no memory. A layer that is asked for again is made again.
  std::unique_ptr<FractionLayer> layer(std::vector<Fr> point, const Fr& batch);

 private:
  // The nodes of one depth > 0, left and right children apart: entry y belongs to the parent y.
  struct Layer {
    bool built = false;
    size_t used = 0;  // parents that are stored
    FieldBuffer p0, p1, q0, q1;
  };
  static Layer make_layer(size_t nodes);
  static void store_node(Layer& layer, size_t node, const Fraction& value);
  static std::unique_ptr<TableSource> tables(Layer nodes, const Fr& batch);
  Layer from_leaves(size_t depth) const;
  static Layer above(const Layer& below);

  TreeNodes nodes_;
  TreePlan plan_;
  std::vector<Layer> layers_;  // [depth]; depths 0 (the root) and log_size (the leaves) stay empty
  Fraction root_;
};

}  // namespace zkcore
