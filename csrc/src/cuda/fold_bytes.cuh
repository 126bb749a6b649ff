// Row folds of integers of up to 32 bits on tensor cores.
#pragma once

#include "cuda/device.cuh"

namespace zkcore::cuda {

// As contract(); false, and nothing is done, if the column's type, shape or alignment does not suit.
bool fold_bytes(const Column& column, size_t outer, size_t k, size_t inner, const Fr* weights, Fr* out,
                Stream stream);

}  // namespace zkcore::cuda
