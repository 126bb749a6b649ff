// Trees of fractions and the sumchecks of their layers; see zkcore/fraction_tree.hpp.
//
// Nodes of a depth lie as four arrays p0, p1, q0, q1, left and right children apart: entry y belongs to the
// parent y. A layer sums (p0 + batch q0) q1 + p1 q0 over parents; from the first binding on, P = p0 + batch q0
// takes the place of p0. Parents beyond the used ones have the children 0/1 and are summed on the host.
#include "cuda/leaves.cuh"
#include "cuda/sumcheck.cuh"
#include "zkcore/field_counters.hpp"

namespace zkcore::cuda {
namespace {

// ---- sources: the four tables of parents, P = p0 + batch * q0 first

struct Children {
  Fr* p0;
  Fr* p1;
  Fr* q0;
  Fr* q1;
};

// Stored nodes. `merged`: p0 holds P.
struct NodeSource {
  Children nodes;
  size_t used;
  Fr batch;
  bool merged;

  struct Hints {};
  __device__ __forceinline__ Fr read(const Fr* table, size_t y, const Fr& tail) const {
    return y < used ? load_once(table + y) : tail;
  }
  __device__ __forceinline__ Fr q0(size_t y, Hints&) const { return read(nodes.q0, y, Fr::one()); }
  __device__ __forceinline__ Fr p1(size_t y, Hints&) const { return read(nodes.p1, y, Fr::zero()); }
  __device__ __forceinline__ Fr q1(size_t y, Hints&) const { return read(nodes.q1, y, Fr::one()); }
  __device__ __forceinline__ Fr merged_p(size_t y, const Fr& q0, Hints&) const {
    if (y >= used) return batch;
    const Fr p0 = load_once(nodes.p0 + y);
    return merged ? p0 : p0 + batch * q0;
  }

  __device__ __forceinline__ Fr mix(const Fr& lo, const Fr& hi, const Fr& r) const { return lo + (hi - lo) * r; }
  __device__ __forceinline__ Fr bound_q0(size_t y, size_t half, const Fr& r, Hints& h) const {
    return mix(q0(y, h), q0(y + half, h), r);
  }
  __device__ __forceinline__ Fr bound_p1(size_t y, size_t half, const Fr& r, Hints& h) const {
    return mix(p1(y, h), p1(y + half, h), r);
  }
  __device__ __forceinline__ Fr bound_q1(size_t y, size_t half, const Fr& r, Hints& h) const {
    return mix(q1(y, h), q1(y + half, h), r);
  }
  __device__ __forceinline__ Fr bound_p(size_t y, size_t half, const Fr& r, const Fr& bound_q0, Hints&) const {
    const Fr tail = merged ? batch : Fr::zero();
    const Fr p = mix(read(nodes.p0, y, tail), read(nodes.p0, y + half, tail), r);
    return merged ? p : p + batch * bound_q0;
  }
};

// Leaves, all forms linear in their columns.
struct LeafSource {
  LeafView leaves;

  struct Hints {
    uint32_t low = 0, high = 0;
  };
  __device__ __forceinline__ Fr q0(size_t y, Hints& h) const { return leaves.value(kDenominator, 2 * y, h.low); }
  __device__ __forceinline__ Fr p1(size_t y, Hints& h) const { return leaves.value(kNumerator, 2 * y + 1, h.low); }
  __device__ __forceinline__ Fr q1(size_t y, Hints& h) const { return leaves.value(kDenominator, 2 * y + 1, h.low); }
  __device__ __forceinline__ Fr merged_p(size_t y, const Fr&, Hints& h) const {
    return leaves.value(kMerged, 2 * y, h.low);
  }

  __device__ __forceinline__ Fr bound(Form form, size_t leaf, size_t half, Hints& h) const {
    return leaves.bound(form, leaf, leaf + 2 * half, h.low, h.high);
  }
  __device__ __forceinline__ Fr bound_q0(size_t y, size_t half, const Fr&, Hints& h) const {
    return bound(kDenominator, 2 * y, half, h);
  }
  __device__ __forceinline__ Fr bound_p1(size_t y, size_t half, const Fr&, Hints& h) const {
    return bound(kNumerator, 2 * y + 1, half, h);
  }
  __device__ __forceinline__ Fr bound_q1(size_t y, size_t half, const Fr&, Hints& h) const {
    return bound(kDenominator, 2 * y + 1, half, h);
  }
  __device__ __forceinline__ Fr bound_p(size_t y, size_t half, const Fr&, const Fr&, Hints& h) const {
    return bound(kMerged, 2 * y, half, h);
  }
};

// ---- rounds

// a * b + c * d, built up product by product.
class TwoProducts {
 public:
  __device__ __forceinline__ void first(const Fr& a, const Fr& b) {
    uint32_t x[8], y[8];
    ptx::split<8>(x, a.v);
    ptx::split<8>(y, b.v);
    ptx::wide_mul<8, 8>(v_, x, y);
  }
  __device__ __forceinline__ Fr with(const Fr& c, const Fr& d) {
    uint32_t x[8], y[8], t[16], r[8];
    ptx::split<8>(x, c.v);
    ptx::split<8>(y, d.v);
    ptx::wide_mul<8, 8>(t, x, y);
    v_[0] = ptx::add_cc(v_[0], t[0]);
#pragma unroll
    for (int i = 1; i < 15; ++i) v_[i] = ptx::addc_cc(v_[i], t[i]);
    v_[15] = ptx::addc(v_[15], t[15]);
    (void)ptx::reduce<FrParams, 8>(r, v_);
    ptx::subtract_once<FrParams>(r);
    Fr out;
    ptx::join<8>(out.v, r);
    return out;
  }

 private:
  uint32_t v_[16];
};

template <class Source, Points kPoints, bool kFused>
struct LayerBody {
  static constexpr int kSums = kPointCount<kPoints>;
  static constexpr bool kEq = true;

  Source source;
  Children bound;
  size_t bound_used;
  size_t pairs;
  Fr challenge;
  PointChoice choice;

  __device__ __forceinline__ void keep(Fr* table, size_t i, const Fr& lo, const Fr& hi) const {
    store(table + i, lo);
    if (i + pairs < bound_used) store(table + i + pairs, hi);
  }

  __device__ __forceinline__ void add(size_t i, const Fr& eq, ProductSum* sums) const {
    typename Source::Hints hints{};
    const size_t j = i + pairs;
    const size_t half = 2 * pairs;
    Fr lo, hi, q0_lo, q0_hi, keep_points[kSums];
    TwoProducts products[kSums];
    if constexpr (kFused) {
      q0_lo = source.bound_q0(i, half, challenge, hints);
      q0_hi = source.bound_q0(j, half, challenge, hints);
      keep(bound.q0, i, q0_lo, q0_hi);
      lo = source.bound_p1(i, half, challenge, hints);
      hi = source.bound_p1(j, half, challenge, hints);
      keep(bound.p1, i, lo, hi);
    } else {
      q0_lo = source.q0(i, hints);
      q0_hi = source.q0(j, hints);
      lo = source.p1(i, hints);
      hi = source.p1(j, hints);
    }
    at_points<kPoints>(q0_lo, q0_hi, choice, [&](int k, const Fr& v, bool) { keep_points[k] = v; });
    at_points<kPoints>(lo, hi, choice, [&](int k, const Fr& v, bool) { products[k].first(keep_points[k], v); });
    if constexpr (kFused) {
      lo = source.bound_p(i, half, challenge, q0_lo, hints);
      hi = source.bound_p(j, half, challenge, q0_hi, hints);
      keep(bound.p0, i, lo, hi);
    } else {
      lo = source.merged_p(i, q0_lo, hints);
      hi = source.merged_p(j, q0_hi, hints);
    }
    at_points<kPoints>(lo, hi, choice, [&](int k, const Fr& v, bool) { keep_points[k] = v; });
    if constexpr (kFused) {
      lo = source.bound_q1(i, half, challenge, hints);
      hi = source.bound_q1(j, half, challenge, hints);
      keep(bound.q1, i, lo, hi);
    } else {
      lo = source.q1(i, hints);
      hi = source.q1(j, hints);
    }
    at_points<kPoints>(lo, hi, choice, [&](int k, const Fr& v, bool) {
      sums[k].add(eq, products[k].with(keep_points[k], v));
    });
  }
};

template <class Source>
__global__ void __launch_bounds__(kBlock) bind_layer_kernel(Source source, Children bound, size_t used, size_t half,
                                                            Fr challenge) {
  for (size_t y = thread_index(); y < used; y += thread_count()) {
    typename Source::Hints hints{};
    const Fr q0 = source.bound_q0(y, half, challenge, hints);
    store(bound.q0 + y, q0);
    store(bound.p1 + y, source.bound_p1(y, half, challenge, hints));
    store(bound.p0 + y, source.bound_p(y, half, challenge, q0, hints));
    store(bound.q1 + y, source.bound_q1(y, half, challenge, hints));
  }
}

// ---- building: a thread makes both children of a parent

struct Node {
  Fr p, q;
};

__device__ __forceinline__ Node add_nodes(const Fr& p0, const Fr& p1, const Fr& q0, const Fr& q1) {
  return {mul_add(p0, q1, p1, q0), q0 * q1};
}

__device__ __forceinline__ void store_children(const Children& out, size_t y, const Node& left, const Node& right) {
  store(out.p0 + y, left.p);
  store(out.q0 + y, left.q);
  store(out.p1 + y, right.p);
  store(out.q1 + y, right.q);
}

// Node v of the layer above the leaves has the leaves 2 v and 2 v + 1.
__global__ void __launch_bounds__(kBlock) above_leaves_kernel(LeafView leaves, size_t parents, Children out) {
  uint32_t hint = 0;
  for (size_t y = thread_index(); y < parents; y += thread_count()) {
    Node node[2];
    for (int side = 0; side < 2; ++side) {
      const size_t leaf = 4 * y + 2 * side;
      const Fr p0 = leaves.value(kNumerator, leaf, hint), q0 = leaves.value(kDenominator, leaf, hint);
      const Fr p1 = leaves.value(kNumerator, leaf + 1, hint), q1 = leaves.value(kDenominator, leaf + 1, hint);
      node[side] = add_nodes(p0, p1, q0, q1);
    }
    store_children(out, y, node[0], node[1]);
  }
}

__global__ void __launch_bounds__(kBlock) above_nodes_kernel(Children below, size_t nodes, size_t parents,
                                                             Children out) {
  for (size_t y = thread_index(); y < parents; y += thread_count()) {
    Node node[2];
#pragma unroll
    for (int side = 0; side < 2; ++side) {
      const size_t v = 2 * y + side;
      node[side] = {Fr::zero(), Fr::one()};
      if (v < nodes) {
        node[side] = add_nodes(load_once(below.p0 + v), load_once(below.p1 + v), load_once(below.q0 + v),
                               load_once(below.q1 + v));
      }
    }
    store_children(out, y, node[0], node[1]);
  }
}

// The leaves themselves, as the children of one parent.
__global__ void leaf_values_kernel(LeafView leaves, Fr* out) {
  uint32_t hint = 0;
  store(out, leaves.value(kNumerator, 0, hint));
  store(out + 2, leaves.value(kDenominator, 0, hint));
  store(out + 1, leaves.value(kNumerator, 1, hint));
  store(out + 3, leaves.value(kDenominator, 1, hint));
}

// The children of `used` parents.
class Layer {
 public:
  Layer(size_t used, Stream stream) : used_(used), memory_(4 * std::max<size_t>(used, 1), stream) {}
  size_t used() const { return used_; }
  Children children() const {
    Fr* data = memory_.data();
    return {data, data + used_, data + 2 * used_, data + 3 * used_};
  }
  // p0, p1, q0, q1 of the first parent.
  std::array<Fr, 4> first(Stream stream) const {
    std::array<Fr, 4> values{Fr::zero(), Fr::zero(), Fr::one(), Fr::one()};
    if (used_ == 0) return values;
    const Children c = children();
    const Fr* from[] = {c.p0, c.p1, c.q0, c.q1};
    for (int j = 0; j < 4; ++j) copy_to_host(&values[j], from[j], sizeof(Fr), stream);
    return values;
  }

 private:
  size_t used_;
  Array<Fr> memory_;
};

std::array<Fr, 4> first_leaves(Leaves& leaves, Stream stream) {
  const Array<Fr> out(4, stream);
  launch(leaf_values_kernel, {dim3(1), 1}, stream, leaves.view(Fr::zero(), nullptr), out.data());
  std::array<Fr, 4> values;
  copy_to_host(values.data(), out.data(), sizeof values, stream);
  return values;
}

// ---- one layer's tables

class LayerTables : public RoundTables {
 public:
  // Either nodes or leaves, the tables of the first round.
  LayerTables(std::shared_ptr<Layer> nodes, std::shared_ptr<Leaves> leaves, const Fr& batch, Stream stream)
      : layer_(std::move(nodes)),
        leaves_(std::move(leaves)),
        used_(layer_ ? layer_->used() : (leaves_->size() + 1) / 2),
        batch_(batch),
        stream_(stream),
        reports_(stream),
        mailbox_(Reports::kMaxSums) {}

  int degree() const override { return 2; }

  void sum(Points points, PointChoice choice, const EqView* eq, size_t pairs, const Fr* challenge) override {
    with_source(challenge, [&](const auto& source) {
      if (points == Points::kSingle) {
        round<Points::kSingle, false>(source, choice, *eq, pairs, nullptr);
      } else if (challenge) {
        round<Points::kEndLeading, true>(source, choice, *eq, pairs, challenge);
      } else {
        round<Points::kEndLeading, false>(source, choice, *eq, pairs, nullptr);
      }
    });
    sums_ = points == Points::kSingle ? 1 : 2;
  }

  // Every parent that is not stored adds batch * 1 + 0 * 1.
  std::vector<Fr> collect(const SplitEq* eq, size_t pairs) override {
    const size_t active = std::min(pairs, used_);
    std::vector<Fr> sums(static_cast<size_t>(sums_), Fr::zero());
    if (active > 0) {
      Mailbox::wait(stream_);
      std::copy_n(mailbox_.data(), sums_, sums.begin());
    }
    if (active < pairs) sums[0] += batch_ * (Fr::one() - eq->prefix_sum(active));
    return sums;
  }

  void bind(size_t half, const Fr& challenge) override {
    const size_t used = std::min(half, used_);
    std::shared_ptr<Layer> room = bound_room(used);
    with_source(&challenge, [&](const auto& source) {
      using Source = std::decay_t<decltype(source)>;
      launch(bind_layer_kernel<Source>, looping(bind_layer_kernel<Source>, used), stream_, source, children(*room), used,
             half, challenge);
    });
    adopt(std::move(room), used);
  }

  std::vector<Fr> finals() override {
    std::array<Fr, 4> values = layer_ ? layer_->first(stream_) : first_leaves(*leaves_, stream_);
    if (merged_ && used_ > 0) values[0] -= batch_ * values[2];
    return {values.begin(), values.end()};
  }

 private:
  template <class Fn>
  void with_source(const Fr* challenge, Fn&& fn) {
    if (layer_) return fn(NodeSource{layer_->children(), used_, batch_, merged_});
    fn(LeafSource{leaves_->view(batch_, challenge)});
    leaves_->count_pass();
  }

  template <Points kPoints, bool kFused, class Source>
  void round(const Source& source, PointChoice choice, const EqView& eq, size_t pairs, const Fr* challenge) {
    const size_t used = challenge ? std::min(2 * pairs, used_) : used_;
    const size_t active = std::min(pairs, used);
    std::shared_ptr<Layer> room = kFused ? bound_room(used) : nullptr;
    LayerBody<Source, kPoints, kFused> body{source, {}, used, pairs, challenge ? *challenge : Fr::zero(), choice};
    if (room) body.bound = children(*room);
    if (active > 0) launch_round(body, &eq, active, reports_.to(mailbox_.data()), stream_);
    count_field_mults(3 * active * body.kSums);
    if (room) adopt(std::move(room), used);
  }

  // The bound tables overwrite the layer's own once it has been bound; the first binding leaves the tree alone.
  std::shared_ptr<Layer> bound_room(size_t used) {
    return merged_ ? layer_ : std::make_shared<Layer>(used, stream_);
  }
  static Children children(const Layer& layer) { return layer.children(); }
  void adopt(std::shared_ptr<Layer> room, size_t used) {
    count_field_mults(4 * used);
    layer_ = std::move(room);
    merged_ = true;
    used_ = used;
  }

  std::shared_ptr<Layer> layer_;
  std::shared_ptr<Leaves> leaves_;
  size_t used_;
  Fr batch_;
  bool merged_ = false;
  Stream stream_;
  Reports reports_;
  Mailbox mailbox_;
  int sums_ = 0;
};

// ---- the tree

class Tree : public FractionTree {
 public:
  Tree(std::vector<LeafRun> runs, int log_size, int stored_layers, Stream stream)
      : leaves_(std::make_shared<Leaves>(std::move(runs), stream)),
        log_size_(log_size),
        stored_(stored_layers),
        stream_(stream),
        layers_(static_cast<size_t>(log_size) + 1) {
    std::array<Fr, 4> top;
    if (log_size_ > 1) {
      build(1);
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
  // Makes the layer at `depth` from the nearest one below, or from the leaves; what is not to be stored lives
  // until the next one is made.
  void build(size_t depth) {
    const size_t deepest = layers_.size() - 2;
    size_t from = depth;
    while (from < deepest && !layers_[from]) ++from;
    for (size_t d = from + 1; d-- > depth;) {
      if (!layers_[d]) layers_[d] = d == deepest ? above_leaves() : above(*layers_[d + 1]);
      if (d < deepest && static_cast<int>(d) + 1 > stored_) layers_[d + 1].reset();
    }
  }
  std::shared_ptr<Layer> above_leaves() {
    const size_t nodes = (leaves_->size() + 1) / 2;
    auto layer = std::make_shared<Layer>((nodes + 1) / 2, stream_);
    launch(above_leaves_kernel, looping(above_leaves_kernel, layer->used()), stream_,
           leaves_->view(Fr::zero(), nullptr), layer->used(), layer->children());
    leaves_->count_pass();
    count_field_mults(3 * nodes);
    return layer;
  }
  std::shared_ptr<Layer> above(const Layer& below) {
    auto layer = std::make_shared<Layer>((below.used() + 1) / 2, stream_);
    launch(above_nodes_kernel, looping(above_nodes_kernel, layer->used()), stream_, below.children(), below.used(),
           layer->used(), layer->children());
    count_field_mults(3 * below.used());
    return layer;
  }

  std::optional<Fr> claim(const std::vector<Fr>& point, const Fr& batch) const;

  std::shared_ptr<Leaves> leaves_;
  int log_size_;
  int stored_;
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
      : SumcheckState(std::move(tables), static_cast<int>(point.size()), 3, point, claim, stream), tree_(tree) {}
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

// If `point` continues the last layer's by one coordinate mu: p = p0 + mu (p1 - p0), q alike, and the claim is
// p + batch q.
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
  std::shared_ptr<Layer> nodes;
  if (children < static_cast<size_t>(log_size_)) {
    build(children);
    nodes = std::move(layers_[children]);  // proved once: its memory is free when it is bound
    layers_[children].reset();
  }
  auto tables = std::make_unique<LayerTables>(std::move(nodes), leaves_, batch, stream_);
  const std::optional<Fr> known = claim(point, batch);
  return std::make_unique<LayerState>(std::move(tables), std::move(point), known, *this, stream_);
}

}  // namespace

std::unique_ptr<FractionTree> fraction_tree(std::vector<LeafRun> runs, int log_size, int stored_layers,
                                            Stream stream) {
  return std::make_unique<Tree>(std::move(runs), log_size, stored_layers, stream);
}

}  // namespace zkcore::cuda
