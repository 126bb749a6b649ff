// Which table row each lookup refers to, and how often each row is referred to.
#include <algorithm>

#include "cuda/device.cuh"

namespace zkcore::cuda {
namespace {

// Row 0 stands for what lies outside the table.
__device__ __forceinline__ uint32_t row_of(int64_t x, int64_t first, uint32_t size) {
  const uint64_t row = static_cast<uint64_t>(x) - static_cast<uint64_t>(first);
  return row < size ? static_cast<uint32_t>(row) : 0;
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    rows_kernel(const T* index, size_t n, int64_t first, uint32_t size, int64_t* out) {
  for (size_t i = thread_index(); i < n; i += thread_count()) out[i] = row_of(index[i], first, size);
}

template <class T, class V>
__global__ void __launch_bounds__(kBlock)
    values_kernel(const T* index, size_t n, int64_t first, uint32_t size, const V* table, V* out) {
  for (size_t i = thread_index(); i < n; i += thread_count()) out[i] = table[row_of(index[i], first, size)];
}

// ---- counting: a block counts a slice of the table in shared memory; slices are the grid's second axis. A
// table of many slices, over each of which all cells would be read, is counted where it is.

constexpr unsigned kTallyBlock = 1024;
constexpr uint32_t kMostBins = 32768;
constexpr unsigned kMostSlices = 8;

template <class T>
__global__ void __launch_bounds__(kBlock)
    tally_long_kernel(const T* index, const int8_t* chosen, size_t n, int64_t first, uint32_t size,
                      unsigned long long* out) {
  for (size_t i = thread_index(); i < n; i += thread_count()) {
    if (chosen == nullptr || chosen[i] != 0) atomicAdd(out + row_of(index[i], first, size), 1ull);
  }
}

template <class T>
__global__ void __launch_bounds__(kTallyBlock)
    tally_kernel(const T* index, const int8_t* chosen, size_t n, int64_t first, uint32_t size, uint32_t slice,
                 unsigned long long* out) {
  extern __shared__ uint32_t bins[];
  const uint32_t begin = blockIdx.y * slice;
  const uint32_t own = min(slice, size - begin);
  for (uint32_t b = threadIdx.x; b < own; b += blockDim.x) bins[b] = 0;
  __syncthreads();
  constexpr int kTogether = 4;
  const size_t step = thread_count();
  for (size_t start = thread_index(); start < n; start += kTogether * step) {
    uint32_t row[kTogether];
#pragma unroll
    for (int k = 0; k < kTogether; ++k) {
      const size_t i = start + k * step;
      const bool counts = i < n && (chosen == nullptr || chosen[i] != 0);
      row[k] = counts ? row_of(index[i], first, size) - begin : own;
    }
#pragma unroll
    for (int k = 0; k < kTogether; ++k) {
      if (row[k] < own) atomicAdd(bins + row[k], 1u);
    }
  }
  __syncthreads();
  for (uint32_t b = threadIdx.x; b < own; b += blockDim.x) {
    if (bins[b] > 0) atomicAdd(out + begin + b, static_cast<unsigned long long>(bins[b]));
  }
}

}  // namespace

void lookup_rows(const Column& index, int64_t first, uint32_t size, int64_t* out, Stream stream) {
  visit_integers(index, [&](auto* data) {
    using T = std::decay_t<decltype(*data)>;
    launch(rows_kernel<T>, looping(rows_kernel<T>, index.size), stream, data, index.size, first, size, out);
  });
}

void lookup_values(const Column& index, int64_t first, const Column& table, void* out, Stream stream) {
  const auto size = static_cast<uint32_t>(table.size);
  visit_integers(index, [&](auto* data) {
    visit_integers(table, [&](auto* values) {
      using T = std::decay_t<decltype(*data)>;
      using V = std::decay_t<decltype(*values)>;
      launch(values_kernel<T, V>, looping(values_kernel<T, V>, index.size), stream, data, index.size, first,
             size, values, static_cast<V*>(out));
    });
  });
}

void tally_rows(const Column& index, const int8_t* chosen, int64_t first, uint32_t size, int64_t* out,
                Stream stream) {
  check(cudaMemsetAsync(out, 0, size * sizeof(int64_t), stream));
  const uint32_t slice = std::min(size, kMostBins);
  const unsigned slices = (size + slice - 1) / slice;
  const size_t shared = slice * sizeof(uint32_t);
  auto* counts = reinterpret_cast<unsigned long long*>(out);
  visit_integers(index, [&](auto* data) {
    using T = std::decay_t<decltype(*data)>;
    if (slices > kMostSlices) {
      launch(tally_long_kernel<T>, looping(tally_long_kernel<T>, index.size), stream, data, chosen,
             index.size, first, size, counts);
      return;
    }
    check(cudaFuncSetAttribute(tally_kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shared)));
    const unsigned blocks =
        std::min(blocks_for(index.size, kTallyBlock), 2 * static_cast<unsigned>(multiprocessors()));
    launch(tally_kernel<T>, {dim3(blocks, slices), kTallyBlock, shared}, stream, data, chosen, index.size,
           first, size, slice, counts);
  });
}

}  // namespace zkcore::cuda
