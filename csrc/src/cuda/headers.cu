// Keeps the field and curve headers compiling as device code until kernels use them.
#include "zkcore/curve.hpp"

namespace zkcore {
namespace {

__global__ void exercise_headers(Fr* scalars, Affine* points, Xyzz* sums, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  scalars[i] = scalars[i] * scalars[i] + Fr::from_int64(i);
  points[i].y = points[i].y * points[i].x - points[i].y;
  sums[i] = add(sums[i], points[i]);
}

}  // namespace

void exercise_headers_on_device(Fr* scalars, Affine* points, Xyzz* sums, int n) {
  exercise_headers<<<(n + 127) / 128, 128>>>(scalars, points, sums, n);
}

}  // namespace zkcore
