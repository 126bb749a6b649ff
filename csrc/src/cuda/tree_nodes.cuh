// The nodes of a fraction tree, layer by layer or a stretch of a layer at a time.
//
// Nodes of a depth lie as four arrays p0, p1, q0, q1, left and right children apart: entry y belongs to the
// parent y. Parents beyond the used ones have the children 0/1.
#pragma once

#include <memory>

#include "cuda/leaves.cuh"

namespace zkcore::cuda {

// The four tables of parents.
struct Children {
  Fr* p0;
  Fr* p1;
  Fr* q0;
  Fr* q1;
  Children from(size_t y) const { return {p0 + y, p1 + y, q0 + y, q1 + y}; }
};

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
  std::array<Fr, 4> first(Stream stream) const;

 private:
  size_t used_;
  Array<Fr> memory_;
};

// Depth `log_size` is that of the leaves, which are never stored but for a stretch.
class Nodes {
 public:
  Nodes(std::shared_ptr<Leaves> leaves, int log_size, Stream stream)
      : leaves_(std::move(leaves)), log_size_(static_cast<size_t>(log_size)), stream_(stream) {}

  // Parents of nodes of this depth that have leaves under them. 0 < depth <= log_size.
  size_t used(size_t depth) const;
  // The layer at a depth from the one below.
  std::shared_ptr<Layer> above(const Layer& below) const;
  // The deepest layer that holds nodes, from the leaves.
  std::shared_ptr<Layer> above_leaves() const;
  // A layer from the leaves, `chunk` entries at a time.
  std::shared_ptr<Layer> in_chunks(size_t depth, size_t chunk) const;
  // The children of parents [first, first + count), used or not, from the leaves; on the way, fewer than
  // count * 2^(log_size - depth) entries are held.
  void fill(size_t depth, size_t first, size_t count, const Children& out) const;
  // How many parents at a time may be filled where `ranges` entries for each and what `fill` holds take
  // `chunk` entries in all: a multiple of kBlock.
  size_t stretch(size_t depth, size_t ranges, size_t chunk) const;

 private:
  std::shared_ptr<Leaves> leaves_;
  size_t log_size_;
  Stream stream_;
};

}  // namespace zkcore::cuda
