#include "cuda/leaf_pairs.cuh"
#include "cuda/tree_nodes.cuh"
#include "zkcore/field_counters.hpp"

namespace zkcore::cuda {
namespace {

// A thread makes a node, the left or the right child of its parent.

struct Node {
  Fr p, q;
};

__device__ __forceinline__ void store_node(const Children& out, size_t v, const Node& node) {
  store((v % 2 ? out.p1 : out.p0) + v / 2, node.p);
  store((v % 2 ? out.q1 : out.q0) + v / 2, node.q);
}

template <bool kWide>
__device__ __noinline__ PlainPair<kWide> any_plain_pair(const LeafView& leaves, size_t y, size_t step,
                                                        LeafHints& hints) {
  return leaves.plain_pair<kWide>(y, step, hints);
}

// Node v of the layer above the leaves has the leaves 2 v and 2 v + 1; beyond them, 0/1 follows by itself.
// Nodes from `first` on.
template <bool kWide>
__global__ void __launch_bounds__(kBlock, kWide ? 2 : 3)
    above_leaves_kernel(const __grid_constant__ LeafView leaves, size_t first, size_t nodes, Children out) {
  LeafHints hints;
  for (size_t v = thread_index(); v < nodes; v += thread_count()) {
    const PlainPair<kWide> pair = leaves.paired(2 * (first + v), Pairing::kPairs, hints.near)
                                      ? paired_plain<kWide>(leaves, first + v, thread_count(), hints.near)
                                      : any_plain_pair<kWide>(leaves, first + v, thread_count(), hints);
    Node node;
    if constexpr (kWide) {
      node.p = mul_add(pair.p0, pair.q1, pair.p1, pair.q0);
    } else {
      node.p = integer_combination(pair.p0, pair.q1, pair.p1, pair.q0);
    }
    node.q = pair.q0 * pair.q1;
    store_node(out, v, node);
  }
}

// Nodes from `used` on are 0/1.
__global__ void __launch_bounds__(kBlock, 2)
    above_nodes_kernel(Children below, size_t used, size_t nodes, Children out) {
  for (size_t v = thread_index(); v < nodes; v += thread_count()) {
    Node node{Fr::zero(), Fr::one()};
    if (v < used) {
      const Fr p0 = load_once(below.p0 + v), q1 = load_once(below.q1 + v);
      const Fr p1 = load_once(below.p1 + v), q0 = load_once(below.q0 + v);
      node = {mul_add(p0, q1, p1, q0), q0 * q1};
    }
    store_node(out, v, node);
  }
}

// The leaves 2 y and 2 y + 1 as children of y, from `first` on.
__global__ void __launch_bounds__(kBlock)
    leaf_tables_kernel(LeafView leaves, size_t first, size_t parents, Children out) {
  LeafHints hints;
  for (size_t y = thread_index(); y < parents; y += thread_count()) {
    const PlainPair<true> pair = leaves.plain_pair<true>(first + y, thread_count(), hints);
    store_node(out, 2 * y, {pair.p0, pair.q0});
    store_node(out, 2 * y + 1, {pair.p1, pair.q1});
  }
}

}  // namespace

std::array<Fr, 4> Layer::first(Stream stream) const {
  std::array<Fr, 4> values{Fr::zero(), Fr::zero(), Fr::one(), Fr::one()};
  if (used_ == 0) return values;
  // Entry 0 of each quarter.
  check(cudaMemcpy2DAsync(values.data(), sizeof(Fr), memory_.data(), used_ * sizeof(Fr), sizeof(Fr), 4,
                          cudaMemcpyDeviceToHost, stream));
  check(cudaStreamSynchronize(stream));
  return values;
}

size_t Nodes::used(size_t depth) const {
  const size_t below = log_size_ - depth;
  const size_t nodes = (leaves_->size() + (size_t{1} << below) - 1) >> below;
  return (nodes + 1) / 2;
}

std::shared_ptr<Layer> Nodes::above(const Layer& below) const {
  auto layer = std::make_shared<Layer>((below.used() + 1) / 2, stream_);
  launch(above_nodes_kernel, looping(above_nodes_kernel, 2 * layer->used()), stream_, below.children(),
         below.used(), 2 * layer->used(), layer->children());
  count_field_mults(3 * below.used());
  return layer;
}

std::shared_ptr<Layer> Nodes::above_leaves() const {
  auto layer = std::make_shared<Layer>(used(log_size_ - 1), stream_);
  fill(log_size_ - 1, 0, layer->used(), layer->children());
  leaves_->count_pass();
  return layer;
}

std::shared_ptr<Layer> Nodes::in_chunks(size_t depth, size_t chunk) const {
  auto layer = std::make_shared<Layer>(used(depth), stream_);
  const size_t step = stretch(depth, 0, chunk);
  for (size_t first = 0; first < layer->used(); first += step) {
    fill(depth, first, std::min(step, layer->used() - first), layer->children().from(first));
  }
  leaves_->count_pass();
  return layer;
}

void Nodes::fill(size_t depth, size_t first, size_t count, const Children& out) const {
  if (depth == log_size_) {
    launch(leaf_tables_kernel, looping(leaf_tables_kernel, count), stream_,
           leaves_->view(Fr::zero(), nullptr), first, count, out);
  } else if (depth + 1 == log_size_) {
    const auto kernel = leaves_->wide() ? above_leaves_kernel<true> : above_leaves_kernel<false>;
    launch(kernel, looping(kernel, 2 * count), stream_, leaves_->view(Fr::zero(), nullptr), 2 * first,
           2 * count, out);
    count_field_mults(6 * count);
  } else {
    const Layer below(2 * count, stream_);
    fill(depth + 1, 2 * first, 2 * count, below.children());
    launch(above_nodes_kernel, looping(above_nodes_kernel, 2 * count), stream_, below.children(), 2 * count,
           2 * count, out);
    count_field_mults(6 * count);
  }
}

size_t Nodes::stretch(size_t depth, size_t ranges, size_t chunk) const {
  const size_t held = ranges + (size_t{1} << (log_size_ - depth));
  return std::max<size_t>(chunk / held / kBlock, 1) * kBlock;
}

}  // namespace zkcore::cuda
