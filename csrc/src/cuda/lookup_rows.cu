// What lookups find in their tables, and how often each row is referred to.
#include <algorithm>

#include "cuda/device.cuh"
#include "cuda/table_rows.cuh"

namespace zkcore::cuda {
namespace {

template <class T, class V>
__global__ void __launch_bounds__(kBlock)
    values_kernel(const T* index, size_t n, int64_t first, uint32_t size, const V* table, V* out) {
  for (size_t i = thread_index(); i < n; i += thread_count()) out[i] = table[row_of(index[i], first, size)];
}

// ---- counting: a block counts a slice of the table in shared memory; slices are the grid's second axis. A
// table of many slices, over each of which all cells would be read, is counted where it is; but for the rows
// that a block finds in a sample of its cells, which may be hot: millions of cells of a few values wait for
// one another in memory.

constexpr unsigned kTallyBlock = 1024;
constexpr uint32_t kMostBins = 32768;
constexpr unsigned kMostSlices = 8;
constexpr uint32_t kHotBins = 8192;
constexpr int kSample = 16;  // cells a thread
constexpr uint32_t kNoRow = ~0u;

template <class T>
__global__ void __launch_bounds__(kTallyBlock)
    tally_long_kernel(const T* index, const int8_t* chosen, size_t n, int64_t first, uint32_t size,
                      unsigned long long* out) {
  extern __shared__ uint32_t bins[];
  uint32_t* hot = bins + kHotBins;  // whose bin it is: the first row of the sample that falls into it
  for (uint32_t b = threadIdx.x; b < kHotBins; b += blockDim.x) {
    bins[b] = 0;
    hot[b] = kNoRow;
  }
  __syncthreads();
  const size_t start = thread_index(), step = thread_count();
  for (size_t i = start; i < n && i < start + kSample * step; i += step) {
    const uint32_t row = row_of(index[i], first, size);
    atomicCAS(hot + row % kHotBins, kNoRow, row);
  }
  __syncthreads();
  for (size_t i = start; i < n; i += step) {
    if (chosen != nullptr && chosen[i] == 0) continue;
    const uint32_t row = row_of(index[i], first, size);
    const uint32_t b = row % kHotBins;
    if (hot[b] == row) {
      atomicAdd(bins + b, 1u);
    } else {
      atomicAdd(out + row, 1ull);
    }
  }
  __syncthreads();
  for (uint32_t b = threadIdx.x; b < kHotBins; b += blockDim.x) {
    if (bins[b] > 0) atomicAdd(out + hot[b], static_cast<unsigned long long>(bins[b]));
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
  auto* counts = reinterpret_cast<unsigned long long*>(out);
  const uint32_t slice = std::min(size, kMostBins);
  const unsigned slices = (size + slice - 1) / slice;
  const bool whole = slices > kMostSlices;
  const size_t shared = (whole ? 2 * kHotBins : slice) * sizeof(uint32_t);
  const unsigned blocks =
      std::min(blocks_for(index.size, kTallyBlock), 2 * static_cast<unsigned>(multiprocessors()));
  const auto prepared = [&](auto* kernel) {
    check(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)));
    return kernel;
  };
  visit_integers(index, [&](auto* data) {
    using T = std::decay_t<decltype(*data)>;
    if (whole) {
      launch(prepared(tally_long_kernel<T>), {dim3(blocks), kTallyBlock, shared}, stream, data, chosen,
             index.size, first, size, counts);
    } else {
      launch(prepared(tally_kernel<T>), {dim3(blocks, slices), kTallyBlock, shared}, stream, data, chosen,
             index.size, first, size, slice, counts);
    }
  });
}

}  // namespace zkcore::cuda
