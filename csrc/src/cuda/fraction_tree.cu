// Trees of fractions and the sumchecks of their layers; see zkcore/fraction_tree.hpp.
//
// A layer sums (p0 + batch q0) q1 + p1 q0 over parents; from the first binding on, P = p0 + batch q0 takes
// the place of p0. Parents beyond the used ones are summed on the host. A layer that may not be held is made
// again for every round, a stretch at a time, until what is left of it may be.
#include "cuda/sumcheck.cuh"
#include "cuda/tree_nodes.cuh"
#include "zkcore/field_counters.hpp"

namespace zkcore::cuda {
namespace {

// ---- sources: the four tables of parents, P = p0 + batch * q0 first

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

// ---- the leaves and the root

// The leaves themselves, as the children of one parent.
__global__ void leaf_values_kernel(LeafView leaves, Fr* out) {
  uint32_t hint = 0;
  for (int side = 0; side < 2; ++side) {
    const LeafForms forms = leaves.forms<false, false>(side, 0, &hint);
    store(out + side, forms.other);
    store(out + 2 + side, forms.denominator);
  }
}

std::array<Fr, 4> first_leaves(Leaves& leaves, Stream stream) {
  const Array<Fr> out(4, stream);
  launch(leaf_values_kernel, {dim3(1), 1}, stream, leaves.view(Fr::zero(), nullptr), out.data());
  std::array<Fr, 4> values;
  copy_to_host(values.data(), out.data(), sizeof values, stream);
  return values;
}

// ---- one layer's tables

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
      i == 0 ? bind<false>(all, half, to, bound[i]) : bind<true>(all, half, to, bound[i]);
    }
  }
  size_t stretch(size_t ends) const { return nodes->stretch(depth, (ends << bound.size()) + ends, chunk); }

 private:
  template <bool kMerged>
  void bind(const Children& from, size_t half, const Children& to, const Fr& challenge) const {
    using Source = NodeSource<kMerged>;
    launch(bind_layer_kernel<Source>, looping(bind_layer_kernel<Source>, half), stream,
           Source{from, 2 * half, batch}, to, half, half, challenge);
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
        stream_(stream),
        reports_(stream),
        mailbox_(Reports::kMaxSums) {}

  int degree() const override { return 2; }

  void sum(Points points, PointChoice choice, const EqView* eq, size_t pairs, const Fr* challenge) override {
    sums_ = points == Points::kSingle ? 1 : 2;
    remade_sums_.clear();
    if (remade_) {
      if (challenge) bind_remade(2 * pairs, *challenge);
      if (remade_->bound.size() < remade_->rounds) return sum_remade(points, choice, *eq, pairs);
      hold(2 * pairs);
      challenge = nullptr;
    }
    with_source(challenge, [&](const auto& source) {
      if (points == Points::kSingle) {
        round<Points::kSingle, false>(source, choice, *eq, pairs, nullptr);
      } else if (challenge) {
        round<Points::kEndLeading, true>(source, choice, *eq, pairs, challenge);
      } else {
        round<Points::kEndLeading, false>(source, choice, *eq, pairs, nullptr);
      }
    });
  }

  // Every parent that is not stored adds batch * 1 + 0 * 1.
  std::vector<Fr> collect(const SplitEq* eq, size_t pairs) override {
    const size_t active = std::min(pairs, used_);
    std::vector<Fr> sums(static_cast<size_t>(sums_), Fr::zero());
    if (!remade_sums_.empty()) {
      sums = remade_sums_;
    } else if (active > 0) {
      Mailbox::wait(stream_);
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
    std::shared_ptr<Layer> room = bound_room(used);
    with_source(&challenge, [&](const auto& source) {
      using Source = std::decay_t<decltype(source)>;
      launch(bind_layer_kernel<Source>, looping(bind_layer_kernel<Source>, used), stream_, source,
             children(*room), used, half, challenge);
    });
    adopt(std::move(room), used);
  }

  std::vector<Fr> finals() override {
    if (remade_) hold(1);
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

  void sum_remade(Points points, PointChoice choice, const EqView& eq, size_t pairs) {
    const size_t active = std::min(pairs, used_);
    const size_t step = remade_->stretch(2);
    remade_sums_.assign(static_cast<size_t>(sums_), Fr::zero());
    for (size_t first = 0; first < active; first += step) {
      const size_t count = std::min(step, active - first);
      const Layer room(2 * count, stream_);
      remade_->make(first, count, pairs, 2, room.children());
      const EqView own{eq.outer + first / kBlock, eq.inner, eq.inner_mask};
      const auto add = [&](const auto& source) {
        points == Points::kSingle ? sum_stretch<Points::kSingle>(source, choice, own, count)
                                  : sum_stretch<Points::kEndLeading>(source, choice, own, count);
      };
      remade_->bound.empty() ? add(NodeSource<false>{room.children(), 2 * count, batch_})
                             : add(NodeSource<true>{room.children(), 2 * count, batch_});
      Mailbox::wait(stream_);
      for (size_t k = 0; k < remade_sums_.size(); ++k) remade_sums_[k] += mailbox_.data()[k];
    }
    leaves_->count_pass();
  }

  template <Points kPoints, class Source>
  void sum_stretch(const Source& source, PointChoice choice, const EqView& eq, size_t pairs) {
    const LayerBody<Source, kPoints, false> body{source, {}, 2 * pairs, pairs, Fr::zero(), choice};
    launch_round(body, &eq, pairs, reports_.to(mailbox_.data()), stream_);
    count_field_mults(3 * pairs * body.kSums);
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
  std::optional<Remade> remade_;
  std::vector<Fr> remade_sums_;
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
    const size_t stored =
        std::clamp<size_t>(static_cast<size_t>(std::max(plan_.stored_layers, 1)), 1, deepest);
    layers_[stored] = stored == deepest ? nodes_->above_leaves() : nodes_->in_chunks(stored, plan_.chunk);
    for (size_t d = stored; d-- > 1;) layers_[d] = nodes_->above(*layers_[d + 1]);
  }

  // How a layer of 2^variables parents is proved that is not stored; null: leaves that are bound as they are
  // read.
  std::optional<Remade> remade(size_t depth, size_t variables, const Fr& batch) const {
    const bool leaves = depth + 1 == layers_.size();
    const size_t used = nodes_->used(depth);
    const auto left = [&](size_t rounds) { return std::min(size_t{1} << (variables - rounds), used); };
    size_t rounds = 0;
    if (variables > 1 && (leaves || used > plan_.most || left(1) > plan_.most - used)) {
      rounds = 1;
      while (rounds + 1 < variables && left(rounds) > plan_.most) ++rounds;
    }
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
