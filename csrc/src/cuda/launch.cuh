// Kernel launches: the only place with the triple brackets.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace zkcore::cuda {

// Throws with CUDA's own words.
void check(cudaError_t status);

struct Shape {
  dim3 grid;
  unsigned block;
  size_t shared = 0;  // bytes of dynamic shared memory
};

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const Shape& shape, cudaStream_t stream,
            Arguments&&... arguments) {
  if (shape.grid.x == 0 || shape.grid.y == 0) return;
  kernel<<<shape.grid, shape.block, shape.shared, stream>>>(static_cast<Parameters>(arguments)...);
  check(cudaGetLastError());
}

}  // namespace zkcore::cuda
