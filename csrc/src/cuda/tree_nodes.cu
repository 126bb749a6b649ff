#include "cuda/tree_nodes.cuh"
#include "zkcore/field_counters.hpp"

namespace zkcore::cuda {
namespace {

// A thread makes both children of a parent.

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

// Node v of the layer above the leaves has the leaves 2 v and 2 v + 1. Parents from `first` on.
__global__ void __launch_bounds__(kBlock)
    above_leaves_kernel(LeafView leaves, size_t first, size_t parents, Children out) {
  uint32_t hint = 0;
  for (size_t y = thread_index(); y < parents; y += thread_count()) {
    Node left{}, right{};
#pragma unroll 1
    for (int side = 0; side < 2; ++side) {
      const size_t leaf = 4 * (first + y) + 2 * side;
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

// The leaves 2 y and 2 y + 1 as children of y, from `first` on.
__global__ void __launch_bounds__(kBlock)
    leaf_tables_kernel(LeafView leaves, size_t first, size_t parents, Children out) {
  uint32_t hint = 0;
  for (size_t y = thread_index(); y < parents; y += thread_count()) {
    LeafForms even{}, odd{};
#pragma unroll 1
    for (int side = 0; side < 2; ++side) {
      even = odd;
      odd = leaves.forms<false, false>(2 * (first + y) + side, 0, &hint);
    }
    store_children(out, y, {even.other, even.denominator}, {odd.other, odd.denominator});
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
  launch(above_nodes_kernel, looping(above_nodes_kernel, layer->used()), stream_, below.children(),
         below.used(), layer->used(), layer->children());
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
    launch(above_leaves_kernel, looping(above_leaves_kernel, count), stream_,
           leaves_->view(Fr::zero(), nullptr), first, count, out);
    count_field_mults(6 * count);
  } else {
    const Layer below(2 * count, stream_);
    fill(depth + 1, 2 * first, 2 * count, below.children());
    launch(above_nodes_kernel, looping(above_nodes_kernel, count), stream_, below.children(), 2 * count,
           count, out);
    count_field_mults(6 * count);
  }
}

size_t Nodes::stretch(size_t depth, size_t ranges, size_t chunk) const {
  const size_t held = ranges + (size_t{1} << (log_size_ - depth));
  return std::max<size_t>(chunk / held / kBlock, 1) * kBlock;
}

}  // namespace zkcore::cuda
