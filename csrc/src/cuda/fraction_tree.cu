// Trees of fractions and the sumchecks of their layers; see zkcore/fraction_tree.hpp.
//
// A layer sums (p0 + batch q0) q1 + p1 q0 over parents; from the first round on, P = p0 + batch q0 takes the
// place of p0. Parents beyond the used ones are summed on the host. A layer that may not be held is made
// again for every round, a stretch at a time, until what is left of it may be.
#include "cuda/fraction_round.cuh"
#include "cuda/sumcheck.cuh"
#include "zkcore/field_counters.hpp"

namespace zkcore::cuda {
namespace {

// ---- the leaves and the root

// The leaves themselves, as the children of one parent: p0, p1, q0, q1.
__global__ void leaf_values_kernel(LeafView leaves, Fr* out) {
  LeafHints hints;
  const PlainPair<true> pair = leaves.plain_pair<true>(0, 1, hints);
  store(out, pair.p0);
  store(out + 1, pair.p1);
  store(out + 2, pair.q0);
  store(out + 3, pair.q1);
}

std::array<Fr, 4> first_leaves(Leaves& leaves, Stream stream) {
  const Array<Fr> out(4, stream);
  launch(leaf_values_kernel, {dim3(1), 1}, stream, leaves.view(Fr::zero(), nullptr), out.data());
  std::array<Fr, 4> values;
  copy_to_host(values.data(), out.data(), sizeof values, stream);
  return values;
}

// ---- one layer's tables

// `tails`: one, zero and the batch, on the device; null where no entry beyond the used ones is read.
NodeTables node_tables(const Children& at, size_t used, bool merged, const Fr* tails) {
  return {{at.q0, at.p1, at.p0, at.q1}, {tails, tails + 1, merged ? tails + 2 : tails + 1, tails}, used};
}

// Makes parts of a layer's tables from the leaves, bound to the challenges so far.
struct Remade {
  std::shared_ptr<Nodes> nodes;
  size_t depth;
  size_t rounds;  // that are summed so; then the tables are held
  size_t chunk;   // entries at a time
  Fr batch;
  Stream stream;
  std::vector<Fr> bound;

  // Entries [first, first + count) of the tables as they are now, and, if there are two `ends`, those `apart`
  // further on behind them. `apart` times `ends` is what the tables have.
  void make(size_t first, size_t count, size_t apart, size_t ends, const Children& out) const {
    const size_t ranges = ends << bound.size();
    const Layer room(bound.empty() ? 0 : ranges * count, stream);
    const Children all = bound.empty() ? out : room.children();
    for (size_t t = 0; t < ranges; ++t) nodes->fill(depth, t * apart + first, count, all.from(t * count));
    for (size_t i = 0; i < bound.size(); ++i) {
      const size_t half = (ranges >> (i + 1)) * count;
      const Children to = i + 1 == bound.size() ? out : all;
      bind(all, half, to, bound[i], i > 0);
    }
  }
  size_t stretch(size_t ends) const { return nodes->stretch(depth, (ends << bound.size()) + ends, chunk); }

 private:
  void bind(const Children& from, size_t half, const Children& to, const Fr& challenge, bool merged) const {
    const auto kernel = merged ? bind_nodes_kernel<false> : bind_nodes_kernel<true>;
    launch(kernel, looping(kernel, half), stream, node_tables(from, 2 * half, merged, nullptr),
           node_tables(to, half, true, nullptr), half, FixedFactor(challenge), FixedFactor(batch));
    count_field_mults(4 * half);
  }
};

class LayerTables : public RoundTables {
 public:
  // The tables of the first round are nodes, or leaves, or what is remade of either.
  LayerTables(std::shared_ptr<Layer> nodes, std::shared_ptr<Leaves> leaves, std::optional<Remade> remade,
              size_t used, const Fr& batch, Stream stream)
      : layer_(std::move(nodes)),
        leaves_(std::move(leaves)),
        remade_(std::move(remade)),
        used_(used),
        batch_(batch),
        fixed_batch_(batch),
        stream_(stream),
        tails_(3, stream),
        reports_(stream),
        mailbox_(Reports::kMaxSums) {
    const std::array<Fr, 3> tails{Fr::one(), Fr::zero(), batch};
    copy_to_device(tails_.data(), tails.data(), sizeof tails, stream);
  }

  int degree() const override { return 2; }

  void sum(Points points, PointChoice choice, const EqView* eq, size_t pairs, const Fr* challenge) override {
    sums_ = points == Points::kSingle ? 1 : 2;
    remade_sums_.clear();
    if (remade_) {
      if (challenge) bind_remade(2 * pairs, *challenge);
      if (remade_->bound.size() < remade_->rounds) return sum_remade(choice, *eq, pairs);
      hold(2 * pairs);
      challenge = nullptr;
    }
    const size_t used = challenge ? std::min(2 * pairs, used_) : used_;
    const FixedFactor r = challenge ? FixedFactor(*challenge) : FixedFactor();
    const LayerRound round{pairs, std::min(pairs, used), used, fixed_batch_, r, choice.x};
    if (layer_) {
      sum_nodes(round, *eq, challenge != nullptr);
    } else {
      sum_leaves(round, *eq, challenge);
    }
    count_field_mults(3 * round.active * static_cast<size_t>(sums_));
    if (challenge) adopt(used);
  }

  // Every parent that is not stored adds batch * 1 + 0 * 1.
  std::vector<Fr> collect(const SplitEq* eq, size_t pairs) override {
    const size_t active = std::min(pairs, used_);
    std::vector<Fr> sums(static_cast<size_t>(sums_), Fr::zero());
    if (!remade_sums_.empty()) {
      sums = remade_sums_;
    } else if (active > 0) {
      mailbox_.wait(stream_);
      std::copy_n(mailbox_.data(), sums_, sums.begin());
    }
    if (active < pairs) sums[0] += batch_ * (Fr::one() - eq->prefix_sum(active));
    return sums;
  }

  void bind(size_t half, const Fr& challenge) override {
    if (remade_) {
      bind_remade(half, challenge);
      return hold(half);
    }
    const size_t used = std::min(half, used_);
    if (layer_) {
      const auto kernel = merged_ ? bind_nodes_kernel<false> : bind_nodes_kernel<true>;
      const NodeTables bound = node_tables(layer_->children(), used, true, tails_.data());
      launch(kernel, looping(kernel, used), stream_, nodes(), bound, half, FixedFactor(challenge),
             fixed_batch_);
      merged_ = true;
    } else {
      layer_ = std::make_shared<Layer>(used, stream_);
      const auto kernel = leaves_->wide() ? bind_leaves_kernel<true> : bind_leaves_kernel<false>;
      launch(kernel, looping(kernel, used), stream_, leaves_->view(batch_, &challenge), layer_->children(),
             used, half);
      finish_leaves();
    }
    adopt(used);
  }

  std::vector<Fr> finals() override {
    if (remade_) hold(1);
    std::array<Fr, 4> values = layer_ ? layer_->first(stream_) : first_leaves(*leaves_, stream_);
    if (merged_ && used_ > 0) values[0] -= batch_ * values[2];
    return {values.begin(), values.end()};
  }

 private:
  Report report() { return reports_.to(mailbox_); }

  // What is bound overwrites the layer's tables: a layer is proved once.
  NodeTables nodes() const { return node_tables(layer_->children(), used_, merged_, tails_.data()); }

  void sum_nodes(const LayerRound& round, const EqView& eq, bool fused) {
    const auto kernel = fused     ? merged_ ? nodes_round_kernel<true, false> : nodes_round_kernel<true, true>
                        : merged_ ? nodes_round_kernel<false, false>
                                  : nodes_round_kernel<false, true>;
    if (round.active > 0) {
      launch(kernel, pair_shape(kernel, round.active), stream_, nodes(), round, eq, report());
    }
    merged_ = true;
  }

  void sum_leaves(const LayerRound& round, const EqView& eq, const Fr* challenge) {
    const auto run = [&](auto kernel, const Children& bound) {
      if (round.active == 0) return;
      launch(kernel, pair_shape(kernel, round.active), stream_, leaves_->view(batch_, challenge), round,
             bound, eq, report());
    };
    if (!challenge) {
      run(leaves_->wide() ? leaves_round_kernel<false, true> : leaves_round_kernel<false, false>, {});
      leaves_->count_pass();
      return;
    }
    layer_ = std::make_shared<Layer>(round.bound_used, stream_);
    run(leaves_->wide() ? leaves_round_kernel<true, true> : leaves_round_kernel<true, false>,
        layer_->children());
    finish_leaves();
  }
  // Their bound tables hold P.
  void finish_leaves() {
    leaves_->count_pass();
    merged_ = true;
  }

  void bind_remade(size_t half, const Fr& challenge) {
    remade_->bound.push_back(challenge);
    used_ = std::min(half, used_);
  }

  // What is left of the tables, of `size` parents, is few enough.
  void hold(size_t size) {
    used_ = std::min(size, used_);
    layer_ = std::make_shared<Layer>(used_, stream_);
    const size_t step = remade_->stretch(1);
    for (size_t first = 0; first < used_; first += step) {
      const size_t count = std::min(step, used_ - first);
      remade_->make(first, count, size, 1, layer_->children().from(first));
    }
    leaves_->count_pass();
    merged_ = !remade_->bound.empty();
    remade_.reset();
  }

  void sum_remade(PointChoice choice, const EqView& eq, size_t pairs) {
    const size_t active = std::min(pairs, used_);
    const size_t step = remade_->stretch(2);
    remade_sums_.assign(static_cast<size_t>(sums_), Fr::zero());
    for (size_t first = 0; first < active; first += step) {
      const size_t count = std::min(step, active - first);
      const Layer room(2 * count, stream_);
      remade_->make(first, count, pairs, 2, room.children());
      const EqView own{eq.outer + first / kBlock, eq.inner, eq.inner_mask};
      const bool merged = !remade_->bound.empty();
      const auto kernel = merged ? nodes_round_kernel<false, false> : nodes_round_kernel<false, true>;
      launch(kernel, pair_shape(kernel, count), stream_,
             node_tables(room.children(), 2 * count, merged, tails_.data()),
             LayerRound{count, count, 2 * count, fixed_batch_, FixedFactor(), choice.x}, own, report());
      count_field_mults(3 * count * remade_sums_.size());
      mailbox_.wait(stream_);
      for (size_t k = 0; k < remade_sums_.size(); ++k) remade_sums_[k] += mailbox_.data()[k];
    }
    leaves_->count_pass();
  }

  void adopt(size_t used) {
    count_field_mults(4 * used);
    used_ = used;
  }

  std::shared_ptr<Layer> layer_;
  std::shared_ptr<Leaves> leaves_;
  std::optional<Remade> remade_;
  std::vector<Fr> remade_sums_;
  size_t used_;
  Fr batch_;
  FixedFactor fixed_batch_;
  bool merged_ = false;
  Stream stream_;
  Array<Fr> tails_;
  Reports reports_;
  Mailbox mailbox_;
  int sums_ = 0;
};

// ---- the tree

class Tree : public FractionTree {
 public:
  Tree(std::vector<LeafRun> runs, int log_size, const TreePlan& plan, Stream stream)
      : leaves_(std::make_shared<Leaves>(std::move(runs), stream)),
        nodes_(std::make_shared<Nodes>(leaves_, log_size, stream)),
        log_size_(log_size),
        plan_(plan),
        stream_(stream),
        layers_(static_cast<size_t>(log_size) + 1) {
    std::array<Fr, 4> top;
    if (log_size_ > 1) {
      build();
      top = layers_[1]->first(stream_);
    } else {
      top = first_leaves(*leaves_, stream_);
    }
    root_ = {top[0], top[2]};
    if (log_size_ > 0) root_ = {top[0] * top[3] + top[1] * top[2], top[2] * top[3]};
  }

  int log_size() const override { return log_size_; }
  std::pair<Fr, Fr> root() const override { return root_; }

  std::unique_ptr<Prover> layer(std::vector<Fr> point, const Fr& batch) override;

  // The values of the four tables at a layer's bound point: the claim of the next layer follows from them.
  void remember(std::vector<Fr> point, const std::vector<Fr>& finals) {
    last_point_ = std::move(point);
    last_finals_ = finals;
  }

 private:
  // The layers that are stored, from the deepest of them up.
  void build() {
    const size_t deepest = layers_.size() - 2;
    const size_t stored = plan_.stored(layers_.size() - 1);
    layers_[stored] = stored == deepest ? nodes_->above_leaves() : nodes_->in_chunks(stored, plan_.chunk);
    for (size_t d = stored; d-- > 1;) layers_[d] = nodes_->above(*layers_[d + 1]);
  }

  // How a layer of 2^variables parents is proved that is not stored; null: leaves that are bound as they are
  // read.
  std::optional<Remade> remade(size_t depth, size_t variables, const Fr& batch) const {
    const bool leaves = depth + 1 == layers_.size();
    const size_t rounds = plan_.rounds(variables, nodes_->used(depth), leaves);
    if (leaves && rounds < 2) return std::nullopt;
    return Remade{nodes_, depth, rounds, plan_.chunk, batch, stream_, {}};
  }

  std::optional<Fr> claim(const std::vector<Fr>& point, const Fr& batch) const;

  std::shared_ptr<Leaves> leaves_;
  std::shared_ptr<Nodes> nodes_;
  int log_size_;
  TreePlan plan_;
  Stream stream_;
  std::vector<std::shared_ptr<Layer>> layers_;  // [depth], 0 < depth < log_size
  std::pair<Fr, Fr> root_;
  std::vector<Fr> last_point_, last_finals_;
};

// Tells the tree where it ended, so that the next layer knows its claim.
class LayerState : public SumcheckState {
 public:
  LayerState(std::unique_ptr<RoundTables> tables, std::vector<Fr> point, std::optional<Fr> claim, Tree& tree,
             Stream stream)
      : SumcheckState(std::move(tables), static_cast<int>(point.size()), 3, point, claim, stream),
        tree_(tree) {}
  void bind(const Fr& challenge) override {
    challenges_.push_back(challenge);
    SumcheckState::bind(challenge);
  }
  std::vector<Fr> finals() override {
    std::vector<Fr> values = SumcheckState::finals();
    tree_.remember(challenges_, values);
    return values;
  }

 private:
  Tree& tree_;
  std::vector<Fr> challenges_;
};

// If `point` continues the last layer's by one coordinate mu: p = p0 + mu (p1 - p0), q alike, and the claim
// is p + batch q.
std::optional<Fr> Tree::claim(const std::vector<Fr>& point, const Fr& batch) const {
  if (point.empty()) return root_.first + batch * root_.second;
  if (last_finals_.empty() || point.size() != last_point_.size() + 1) return std::nullopt;
  if (!std::equal(last_point_.begin(), last_point_.end(), point.begin())) return std::nullopt;
  const Fr& mu = point.back();
  const Fr p = last_finals_[0] + mu * (last_finals_[1] - last_finals_[0]);
  const Fr q = last_finals_[2] + mu * (last_finals_[3] - last_finals_[2]);
  return p + batch * q;
}

std::unique_ptr<Prover> Tree::layer(std::vector<Fr> point, const Fr& batch) {
  const size_t children = point.size() + 1;
  // Proved once: its memory is free when it is bound.
  std::shared_ptr<Layer> nodes = std::exchange(layers_[children], nullptr);
  std::optional<Remade> again = nodes ? std::nullopt : remade(children, point.size(), batch);
  auto tables = std::make_unique<LayerTables>(std::move(nodes), leaves_, std::move(again),
                                              nodes_->used(children), batch, stream_);
  const std::optional<Fr> known = claim(point, batch);
  return std::make_unique<LayerState>(std::move(tables), std::move(point), known, *this, stream_);
}

}  // namespace

std::unique_ptr<FractionTree> fraction_tree(std::vector<LeafRun> runs, int log_size, const TreePlan& plan,
                                            Stream stream) {
  return std::make_unique<Tree>(std::move(runs), log_size, plan, stream);
}

}  // namespace zkcore::cuda
