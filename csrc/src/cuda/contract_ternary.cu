// Folds of ternary columns by additions alone: tables of the signed subset sums of a few weights, and for
// each output one sum a group. Strips of the column's entries keep the tables small; segments of a strip's
// groups leave partial sums [segment][output].
#include <algorithm>

#include "cuda/ternary.cuh"

namespace zkcore::cuda {
namespace {

constexpr size_t kStrip = size_t{15} << 12;  // entries: a multiple of 3, 4 and 5

struct Strip {
  size_t outer, k, inner;  // of the whole column
  size_t first, count;     // of k
  int g;
  size_t groups, segment;  // groups; groups of one segment

  __device__ __forceinline__ int entries(size_t t) const {
    const size_t left = count - t * g;
    return left < static_cast<size_t>(g) ? static_cast<int>(left) : g;
  }
};

// tables[t][v + h] = sum_i w_i weights[first + t g + i]. One thread for each sum.
__global__ void __launch_bounds__(kBlock) tables_kernel(const Fr* weights, Strip s, Fr* tables) {
  const int half = static_cast<int>(ternary_half(s.g)), size = 2 * half + 1;
  for (size_t x = thread_index(); x < s.groups * size; x += thread_count()) {
    const size_t t = x / size;
    int value = static_cast<int>(x % size);  // v + h: its digits in base 3 are the w_i + 1
    Fr sum = Fr::zero();
    const int count = s.entries(t);
    for (int i = 0; i < s.g; ++i, value /= 3) {
      if (i >= count || value % 3 == 1) continue;
      const Fr w = load(weights + s.first + t * s.g + i);
      value % 3 == 2 ? sum += w : sum -= w;
    }
    store(tables + x, sum);
  }
}

__global__ void __launch_bounds__(kBlock)
    fold_kernel(const int8_t* column, const Fr* tables, Strip s, Fr* partial) {
  const size_t outputs = s.outer * s.inner;
  const size_t j = thread_index();
  if (j >= outputs) return;
  const int half = static_cast<int>(ternary_half(s.g)), size = 2 * half + 1;
  const int8_t* entries = column + (j / s.inner * s.k + s.first) * s.inner + j % s.inner;
  const size_t begin = blockIdx.y * s.segment;
  const size_t end = begin + s.segment < s.groups ? begin + s.segment : s.groups;
  Fr sum = Fr::zero();
  for (size_t t = begin; t < end; ++t) {
    const int value = group_value(entries + t * s.g * s.inner, s.inner, s.entries(t));
    if (value != 0) sum += load(tables + t * size + half + value);
  }
  store(partial + blockIdx.y * outputs + j, sum);
}

__global__ void __launch_bounds__(kBlock)
    join_kernel(const Fr* partial, size_t segments, size_t outputs, Fr* out) {
  const size_t j = thread_index();
  if (j >= outputs) return;
  Fr total = load(out + j);
  for (size_t s = 0; s < segments; ++s) total += load(partial + s * outputs + j);
  store(out + j, total);
}

__global__ void __launch_bounds__(kBlock) check_kernel(const int8_t* entries, size_t n, uint32_t* bad) {
  bool wrong = false;
  for (size_t i = thread_index(); i < n; i += thread_count()) {
    wrong |= static_cast<uint8_t>(entries[i] + 1) > 2;
  }
  if (wrong) *bad = 1;
}

}  // namespace

bool is_ternary(const int8_t* entries, size_t count, Stream stream) {
  if (count == 0) return true;
  const Array<uint32_t> bad(1, stream);
  check(cudaMemsetAsync(bad.data(), 0, sizeof(uint32_t), stream));
  launch(check_kernel, looping(check_kernel, count), stream, entries, count, bad.data());
  uint32_t found = 0;
  copy_to_host(&found, bad.data(), sizeof found, stream);
  return found == 0;
}

void contract_ternary(const int8_t* column, size_t outer, size_t k, size_t inner, const Fr* weights, Fr* out,
                      Stream stream) {
  const size_t outputs = outer * inner;
  if (outputs == 0) return;
  check(cudaMemsetAsync(out, 0, outputs * sizeof(Fr), stream));
  const int g = ternary_group(outputs, 1000);  // sums are made one by one
  const size_t size = 2 * ternary_half(g) + 1;
  const size_t most = (std::min(k, kStrip) + g - 1) / g;
  const size_t blocks = blocks_for(outputs);
  const size_t segments = ternary_segments(blocks * kBlock, most);
  const Array<Fr> tables(most * size, stream), partial(segments * outputs, stream);
  for (size_t first = 0; first < k; first += kStrip) {
    const size_t count = std::min(kStrip, k - first);
    const size_t groups = (count + g - 1) / g;
    const Strip s{outer, k, inner, first, count, g, groups, (groups + segments - 1) / segments};
    launch(tables_kernel, looping(tables_kernel, groups * size), stream, weights, s, tables.data());
    const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(segments));
    launch(fold_kernel, {grid, kBlock}, stream, column, tables.data(), s, partial.data());
    launch(join_kernel, {dim3(static_cast<unsigned>(blocks)), kBlock}, stream, partial.data(), segments,
           outputs, out);
  }
}

}  // namespace zkcore::cuda
