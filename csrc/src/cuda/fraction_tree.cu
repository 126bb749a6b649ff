// Trees of fractions and the sumchecks of their layers; see zkcore/fraction_tree.hpp.
//
// Nodes of a depth lie as four arrays p0, p1, q0, q1, left and right children apart: entry y belongs to the
// parent y. A layer sums (p0 + batch q0) q1 + p1 q0 over parents; from the first binding on, P = p0 + batch
// q0 takes the place of p0. Parents beyond the used ones have the children 0/1 and are summed on the host.
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

// A table's values at both ends of a pair.
struct Ends {
  Fr lo, hi;
};

struct Place {
  size_t i, apart, half;
  const Fr& challenge;
};

// Sources read a pair of parents, i and i + apart, or bind them: with those `half` further on.
//
// Stored nodes. kMerged: p0 holds P.
template <bool kMerged>
struct NodeSource {
  Children nodes;
  size_t used;
  Fr batch;

  __device__ __forceinline__ Fr read(const Fr* table, size_t y, const Fr& tail) const {
    return y < used ? load_once(table + y) : tail;
  }

  // One copy of the product's code for both ends: it has to stay in the instruction cache.
  template <bool kBind>
  __device__ __forceinline__ Ends pair(const Fr* table, const Place& at, const Fr& tail) const {
    Fr a = read(table, at.i, tail);
    Fr c = read(table, at.i + at.apart, tail);
    if constexpr (!kBind) return {a, c};
    Fr b = read(table, at.i + at.half, tail);
    const Fr d = read(table, at.i + at.apart + at.half, tail);
    Ends ends{};
#pragma unroll 1
    for (int side = 0; side < 2; ++side) {
      ends.lo = ends.hi;
      ends.hi = a + (b - a) * at.challenge;
      a = c;
      b = d;
    }
    return ends;
  }

  // The tables come one by one, so that few are held at a time; P may need q0.
  template <bool kBind>
  struct Reader {
    const NodeSource& source;
    const Place& at;
    Ends q0_ends;
    __device__ __forceinline__ Reader(const NodeSource& from, const Place& place) : source(from), at(place) {}
    __device__ __forceinline__ const Ends& q0() {
      return q0_ends = source.template pair<kBind>(source.nodes.q0, at, Fr::one());
    }
    __device__ __forceinline__ Ends p1() {
      return source.template pair<kBind>(source.nodes.p1, at, Fr::zero());
    }
    __device__ __forceinline__ Ends q1() {
      return source.template pair<kBind>(source.nodes.q1, at, Fr::one());
    }
    __device__ __forceinline__ Ends p() {
      if constexpr (kMerged) return source.template pair<kBind>(source.nodes.p0, at, source.batch);
      const Ends p0 = source.template pair<kBind>(source.nodes.p0, at, Fr::zero());
      return {p0.lo + source.batch * q0_ends.lo, p0.hi + source.batch * q0_ends.hi};
    }
  };

  template <bool kBind>
  __device__ __forceinline__ void prefetch(size_t i, size_t pairs) const {
#pragma unroll
    for (int quarter = 0; quarter < (kBind ? 4 : 2); ++quarter) {
      const size_t y = i + quarter * pairs;
      if (y >= used) continue;
      ptx::prefetch(nodes.q0 + y);
      ptx::prefetch(nodes.p1 + y);
      ptx::prefetch(nodes.p0 + y);
      ptx::prefetch(nodes.q1 + y);
    }
  }
};

// Leaves: all tables are linear in their columns. A leaf's columns are read once for all its forms.
struct LeafSource {
  LeafView leaves;

  template <bool kBind>
  struct Reader {
    Ends tables[4];  // q0, p1, P, q1
    __device__ __forceinline__ Reader(const LeafSource& from, const Place& at) {
      uint32_t hints[2] = {0, 0};
#pragma unroll 1
      for (int side = 0; side < 2; ++side) {
        const size_t y = at.i + side * at.apart;
#pragma unroll
        for (Ends& table : tables) table.lo = table.hi;
        const LeafForms even = from.leaves.template forms<kBind, true>(2 * y, 2 * at.half, hints);
        tables[0].hi = even.denominator;
        tables[2].hi = even.other;
        const LeafForms odd = from.leaves.template forms<kBind, false>(2 * y + 1, 2 * at.half, hints);
        tables[1].hi = odd.other;
        tables[3].hi = odd.denominator;
      }
    }
    __device__ __forceinline__ const Ends& q0() { return tables[0]; }
    __device__ __forceinline__ const Ends& p1() { return tables[1]; }
    __device__ __forceinline__ const Ends& p() { return tables[2]; }
    __device__ __forceinline__ const Ends& q1() { return tables[3]; }
  };
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
  static constexpr int kSums = point_count(kPoints);
  static constexpr bool kEq = true;
  using Sums = SharedProductSums<kSums>;

  Source source;
  Children bound;
  size_t bound_used;
  size_t pairs;
  Fr challenge;
  PointChoice choice;

  __device__ __forceinline__ void keep(Fr* table, size_t i, const Ends& ends) const {
    if constexpr (!kFused) return;
    store(table + i, ends.lo);
    if (i + pairs < bound_used) store(table + i + pairs, ends.hi);
  }
  __device__ __forceinline__ void prefetch(size_t i) const {
    if constexpr (requires { source.template prefetch<kFused>(i, pairs); }) {
      source.template prefetch<kFused>(i, pairs);
    }
  }

  __device__ __forceinline__ void add(size_t i, const Fr& eq, Sums& sums) const {
    const Place place{i, pairs, 2 * pairs, challenge};
    typename Source::template Reader<kFused> reader(source, place);
    Fr held[kSums];
    TwoProducts products[kSums];
    const Ends q0 = reader.q0();
    keep(bound.q0, i, q0);
    at_points<kPoints>(q0.lo, q0.hi, choice, [&](int k, const Fr& v, bool) { held[k] = v; });
    const Ends p1 = reader.p1();
    keep(bound.p1, i, p1);
    at_points<kPoints>(p1.lo, p1.hi, choice,
                       [&](int k, const Fr& v, bool) { products[k].first(held[k], v); });
    const Ends p = reader.p();
    keep(bound.p0, i, p);
    at_points<kPoints>(p.lo, p.hi, choice, [&](int k, const Fr& v, bool) { held[k] = v; });
    const Ends q1 = reader.q1();
    keep(bound.q1, i, q1);
    at_points<kPoints>(q1.lo, q1.hi, choice,
                       [&](int k, const Fr& v, bool) { sums.add(k, eq, products[k].with(held[k], v)); });
  }
};

// Binds without summing, as pairs whose ends are the same.
template <class Source>
__global__ void __launch_bounds__(kBlock)
    bind_layer_kernel(Source source, Children bound, size_t used, size_t half, Fr challenge) {
  for (size_t y = thread_index(); y < used; y += thread_count()) {
    const Place place{y, 0, half, challenge};
    typename Source::template Reader<true> reader(source, place);
    store(bound.q0 + y, reader.q0().lo);
    store(bound.p1 + y, reader.p1().lo);
    store(bound.p0 + y, reader.p().lo);
    store(bound.q1 + y, reader.q1().lo);
  }
}

// ---- building: a thread makes both children of a parent

struct Node {
  Fr p, q;
};

__device__ __forceinline__ Node add_nodes(const Fr& p0, const Fr& p1, const Fr& q0, const Fr& q1) {
  return {mul_add(p0, q1, p1, q0), q0 * q1};
}

__device__ __forceinline__ void store_children(const Children& out, size_t y, const Node& left,
                                               const Node& right) {
  store(out.p0 + y, left.p);
  store(out.q0 + y, left.q);
  store(out.p1 + y, right.p);
  store(out.q1 + y, right.q);
}

// Node v of the layer above the leaves has the leaves 2 v and 2 v + 1.
__global__ void __launch_bounds__(kBlock) above_leaves_kernel(LeafView leaves, size_t parents, Children out) {
  uint32_t hint = 0;
  for (size_t y = thread_index(); y < parents; y += thread_count()) {
    Node left{}, right{};
#pragma unroll 1
    for (int side = 0; side < 2; ++side) {
      const size_t leaf = 4 * y + 2 * side;
      const LeafForms even = leaves.forms<false, false>(leaf, 0, &hint);
      const LeafForms odd = leaves.forms<false, false>(leaf + 1, 0, &hint);
      left = right;
      right = add_nodes(even.other, odd.other, even.denominator, odd.denominator);
    }
    store_children(out, y, left, right);
  }
}

struct Pair {
  Fr a, b;
};
__device__ __forceinline__ Pair load_pair(const Fr* from) { return {load_once(from), load_once(from + 1)}; }

__global__ void __launch_bounds__(kBlock, 2)
    above_nodes_kernel(Children below, size_t nodes, size_t parents, Children out) {
  for (size_t y = thread_index(); y < parents; y += thread_count()) {
    const size_t v = 2 * y;
    if (v + 1 < nodes) {
      // Neighbours are read together: apart, each costs memory as much as both.
      const Pair p0 = load_pair(below.p0 + v), q1 = load_pair(below.q1 + v);
      const Pair p1 = load_pair(below.p1 + v), q0 = load_pair(below.q0 + v);
      store_children(out, y, add_nodes(p0.a, p1.a, q0.a, q1.a), add_nodes(p0.b, p1.b, q0.b, q1.b));
    } else {  // an odd number of nodes: the last has 0/1 beside it
      const Node left = add_nodes(load_once(below.p0 + v), load_once(below.p1 + v), load_once(below.q0 + v),
                                  load_once(below.q1 + v));
      store_children(out, y, left, {Fr::zero(), Fr::one()});
    }
  }
}

// The leaves themselves, as the children of one parent.
__global__ void leaf_values_kernel(LeafView leaves, Fr* out) {
  uint32_t hint = 0;
  for (int side = 0; side < 2; ++side) {
    const LeafForms forms = leaves.forms<false, false>(side, 0, &hint);
    store(out + side, forms.other);
    store(out + 2 + side, forms.denominator);
  }
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
    // Entry 0 of each quarter.
    check(cudaMemcpy2DAsync(values.data(), sizeof(Fr), memory_.data(), used_ * sizeof(Fr), sizeof(Fr), 4,
                            cudaMemcpyDeviceToHost, stream));
    check(cudaStreamSynchronize(stream));
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
      launch(bind_layer_kernel<Source>, looping(bind_layer_kernel<Source>, used), stream_, source,
             children(*room), used, half, challenge);
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
    if (layer_ && merged_) return fn(NodeSource<true>{layer_->children(), used_, batch_});
    if (layer_) return fn(NodeSource<false>{layer_->children(), used_, batch_});
    fn(LeafSource{leaves_->view(batch_, challenge)});
    leaves_->count_pass();
  }

  template <Points kPoints, bool kFused, class Source>
  void round(const Source& source, PointChoice choice, const EqView& eq, size_t pairs, const Fr* challenge) {
    const size_t used = challenge ? std::min(2 * pairs, used_) : used_;
    const size_t active = std::min(pairs, used);
    std::shared_ptr<Layer> room = kFused ? bound_room(used) : nullptr;
    LayerBody<Source, kPoints, kFused> body{source, {}, used, pairs, challenge ? *challenge : Fr::zero(),
                                            choice};
    if (room) body.bound = children(*room);
    if (active > 0) launch_round(body, &eq, active, reports_.to(mailbox_.data()), stream_);
    count_field_mults(3 * active * body.kSums);
    if (room) adopt(std::move(room), used);
  }

  // The bound tables overwrite the layer's own once it has been bound; the first binding leaves the tree
  // alone.
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
      if (d<deepest&& static_cast<int>(d) + 1> stored_) layers_[d + 1].reset();
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
    launch(above_nodes_kernel, looping(above_nodes_kernel, layer->used()), stream_, below.children(),
           below.used(), layer->used(), layer->children());
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
