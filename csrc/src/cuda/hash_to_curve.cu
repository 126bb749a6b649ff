// The second half of hash_to_curve: field elements, hashed on the host, are mapped to the curve here.
#include "cuda/points.cuh"
#include "zkcore/curve_map.hpp"

namespace zkcore::cuda {
namespace {

// One image a thread: the square root is one long chain, and a thread that does two takes twice as long.
__global__ void __launch_bounds__(128)
    map_kernel(const __grid_constant__ CurveMap map, const Fq* u, size_t n, Xyzz* images) {
  const size_t i = thread_index();
  if (i < n) store(images + i, map_to_curve(map, load(u + i)));
}

__global__ void __launch_bounds__(128) clear_kernel(const Xyzz* images, size_t n, Affine* out) {
  const size_t i = thread_index();
  if (i >= n) return;
  Xyzz sum = load(images + 2 * i);
  add_to(sum, load(images + 2 * i + 1));
  // The effective cofactor |x| + 1, bit by bit.
  Xyzz multiple = sum;
#pragma unroll 1
  for (int bit = 62; bit >= 0; --bit) {
    double_it(multiple);
    if (kCurveParameter >> bit & 1) add_to(multiple, sum);
  }
  add_to(multiple, sum);
  store(out + i, to_affine(multiple));
}

}  // namespace

void map_to_curve(const CurveMap& map, const Fq* pairs, size_t n, Affine* out, Stream stream) {
  if (n == 0) return;
  const Array<Fq> u(2 * n, stream);
  const Array<Xyzz> images(2 * n, stream);
  copy_to_device(u.data(), pairs, 2 * n * sizeof(Fq), stream);
  launch(map_kernel, {dim3(blocks_for(2 * n, 128)), 128}, stream, map, u.data(), 2 * n, images.data());
  launch(clear_kernel, {dim3(blocks_for(n, 128)), 128}, stream, images.data(), n, out);
}

}  // namespace zkcore::cuda
