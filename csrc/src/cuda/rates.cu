// What the multiplier can do: chains of products that never leave the registers.
#include "cuda/device.cuh"

namespace zkcore::cuda {
namespace {

__global__ void __launch_bounds__(kBlock) chain_kernel(const Fr* values, Fr* out, int rounds) {
  const size_t i = thread_index();
  Fr x = load(values + 2 * i);
  Fr y = load(values + 2 * i + 1);
#pragma unroll 1
  for (int r = 0; r < rounds; ++r) {
    x = x * y;
    y = y * x;
  }
  store(out + i, x + y);
}

}  // namespace

size_t multiply_chains(const Fr* values, size_t n, int rounds, Fr* out, Stream stream) {
  const size_t whole = 3 * static_cast<size_t>(resident_blocks(chain_kernel));  // waves without a rest
  const size_t blocks = std::min(whole, n / (2 * kBlock));
  launch(chain_kernel, {dim3(static_cast<unsigned>(blocks)), kBlock}, stream, values, out, rounds);
  return 2 * blocks * kBlock * static_cast<size_t>(rounds);
}

}  // namespace zkcore::cuda
