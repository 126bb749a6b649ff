// The ternary verbs on a GPU: the host's meanings and bits, on device pointers and a stream.
#pragma once

#include "zkcore/cuda.hpp"

namespace zkcore::cuda {

bool is_ternary(const int8_t* entries, size_t count, Stream stream);

void contract_ternary(const int8_t* column, size_t outer, size_t k, size_t inner, const Fr* weights, Fr* out,
                      Stream stream);

// `blinder` is the first base's table of a FixedBase, on the device.
void commit_ternary(const Affine* generators, const int8_t* rows, size_t n, size_t width, const Fr* blinds,
                    const Affine* blinder, Affine* out, Stream stream);

}  // namespace zkcore::cuda
