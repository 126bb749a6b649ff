// The ternary verbs on a GPU: the host's meanings and bits, on device pointers and a stream.
#pragma once

#include "zkcore/cuda.hpp"
#include "zkcore/ternary.hpp"

namespace zkcore::cuda {

bool is_ternary(const int8_t* entries, size_t count, Stream stream);

void contract_ternary(const int8_t* column, size_t outer, size_t k, size_t inner, const Fr* weights, Fr* out,
                      Stream stream);

// A vector of generators serves many matrices: its subset sums are made once and kept by the caller.
struct SubsetSums {
  const Affine* points;  // infinity, then the `half` sums of each group of g generators
  int g;

  static constexpr size_t count(size_t generators, int g) {
    return 1 + (generators + g - 1) / g * ternary_half(g);
  }
};

// `points` has room for SubsetSums::count(n, g).
void subset_sums(const Affine* generators, size_t n, int g, Affine* points, Stream stream);

// `sums`: of at least `width` generators. `blinder` is the first base's table of a FixedBase, on the device.
void commit_ternary(const SubsetSums& sums, const int8_t* rows, size_t n, size_t width, const Fr* blinds,
                    const Affine* blinder, Affine* out, Stream stream);

}  // namespace zkcore::cuda
