// Folds of ternary columns: nothing is multiplied. Where a column fills tensor cores they add and subtract
// the weights' bytes (fold_bytes.cu); elsewhere a thread adds and subtracts weights, and segments of the
// entries leave partial sums [segment][output].
#include <algorithm>

#include "cuda/fold_bytes.cuh"
#include "zkcore/ternary_cuda.hpp"

namespace zkcore::cuda {
namespace {

struct Signs {
  size_t outer, k, inner;
  size_t segment;  // entries of k that one thread takes
};

__global__ void __launch_bounds__(kBlock)
    signs_kernel(const int8_t* column, const Fr* weights, Signs s, Fr* partial) {
  const size_t outputs = s.outer * s.inner;
  const size_t j = thread_index();
  if (j >= outputs) return;
  const int8_t* entries = column + j / s.inner * s.k * s.inner + j % s.inner;
  const size_t begin = blockIdx.y * s.segment;
  const size_t end = begin + s.segment < s.k ? begin + s.segment : s.k;
  Fr sum = Fr::zero();
  for (size_t i = begin; i < end; ++i) {
    const int8_t sign = entries[i * s.inner];
    if (sign > 0) sum += load(weights + i);
    if (sign < 0) sum -= load(weights + i);
  }
  store(partial + blockIdx.y * outputs + j, sum);
}

__global__ void __launch_bounds__(kBlock)
    join_kernel(const Fr* partial, size_t segments, size_t outputs, Fr* out) {
  const size_t j = thread_index();
  if (j >= outputs) return;
  Fr total = Fr::zero();
  for (size_t s = 0; s < segments; ++s) total += load(partial + s * outputs + j);
  store(out + j, total);
}

// Bytes of a word that are not -1, 0 or 1, that is, whose successors exceed 2.
__device__ __forceinline__ uint32_t wrong(uint32_t word) {
  return __vcmpgtu4(__vadd4(word, 0x01010101u), 0x02020202u);
}

__global__ void __launch_bounds__(kBlock)
    check_kernel(const int8_t* entries, size_t words, size_t n, uint32_t* bad) {
  uint32_t found = 0;
  for (size_t i = thread_index(); i < words; i += thread_count()) {
    const uint4 w = __ldcs(reinterpret_cast<const uint4*>(entries) + i);
    found |= wrong(w.x) | wrong(w.y) | wrong(w.z) | wrong(w.w);
  }
  for (size_t i = 16 * words + thread_index(); i < n; i += thread_count()) {
    found |= static_cast<uint8_t>(entries[i] + 1) > 2;
  }
  if (found) *bad = 1;
}

}  // namespace

bool is_ternary(const int8_t* entries, size_t count, Stream stream) {
  if (count == 0) return true;
  const Array<uint32_t> bad(1, stream);
  check(cudaMemsetAsync(bad.data(), 0, sizeof(uint32_t), stream));
  const size_t words = reinterpret_cast<uintptr_t>(entries) % 16 == 0 ? count / 16 : 0;
  launch(check_kernel, looping(check_kernel, words ? words : count), stream, entries, words, count,
         bad.data());
  uint32_t found = 0;
  copy_to_host(&found, bad.data(), sizeof found, stream);
  return found == 0;
}

void contract_ternary(const int8_t* column, size_t outer, size_t k, size_t inner, const Fr* weights, Fr* out,
                      Stream stream) {
  const size_t outputs = outer * inner;
  if (outputs == 0) return;
  if (fold_bytes({ColumnType::kInt8, column, outputs * k}, outer, k, inner, weights, out, stream)) return;
  const size_t blocks = blocks_for(outputs);
  const size_t wanted = static_cast<size_t>(multiprocessors()) * 8 / blocks;
  const size_t segments = std::clamp<size_t>(wanted, 1, std::clamp<size_t>(k / 16, 1, 4096));
  const Signs s{outer, k, inner, (k + segments - 1) / segments};
  const Array<Fr> partial(segments * outputs, stream);
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(segments));
  launch(signs_kernel, {grid, kBlock}, stream, column, weights, s, partial.data());
  launch(join_kernel, {dim3(static_cast<unsigned>(blocks)), kBlock}, stream, partial.data(), segments,
         outputs, out);
}

}  // namespace zkcore::cuda
