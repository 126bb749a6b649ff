// Products of integer matrices by GEMMs of signed bytes, whose exactness zkcore/field/byte_products.py
// argues: here factors are taken apart into digits, and the GEMMs' results put together, each in one pass.
#include <algorithm>
#include <type_traits>

#include "cuda/device.cuh"

namespace zkcore::cuda {
namespace {

constexpr unsigned kWarp = 32;
constexpr unsigned kTileRows = 64;
constexpr unsigned kTileSteps = 4 * kWarp;  // of the summed axis: a lane packs four

template <class S>
__device__ __forceinline__ S warp_total(S x) {
#pragma unroll
  for (int distance = kWarp / 2; distance > 0; distance /= 2) x += __shfl_xor_sync(0xffffffffu, x, distance);
  return x;
}

// Byte `digit` of four values, the first of them lowest.
__device__ __forceinline__ uint32_t packed(const uint32_t* values, unsigned digit) {
  const unsigned pick = digit | (4 + digit) << 4;
  return __byte_perm(__byte_perm(values[0], values[1], pick), __byte_perm(values[2], values[3], pick),
                     0x5410);
}

// A tile goes through shared memory, so that both sides are read and written along their lines.
template <class T, bool kAcross>
__global__ void __launch_bounds__(kBlock)
    split_kernel(const T* matrix, size_t rows, size_t steps, unsigned digits, int8_t* out,
                 unsigned long long* sums) {
  using Held = std::conditional_t<(sizeof(T) > sizeof(int32_t)), int32_t, T>;
  using Sum = std::conditional_t<(sizeof(T) > sizeof(int16_t)), long long, int>;
  __shared__ Held tile[kTileSteps][kTileRows + 1];
  const size_t first_row = static_cast<size_t>(blockIdx.x) * kTileRows;
  const size_t first_step = static_cast<size_t>(blockIdx.y) * kTileSteps;
#pragma unroll 8
  for (unsigned k = threadIdx.x; k < kTileRows * kTileSteps; k += kBlock) {
    const unsigned r = kAcross ? k % kTileRows : k / kTileSteps;
    const unsigned s = kAcross ? k / kTileRows : k % kTileSteps;
    const size_t row = first_row + r;
    const size_t step = first_step + s;
    const bool real = row < rows && step < steps;
    tile[s][r] = real ? static_cast<Held>(matrix[kAcross ? step * rows + row : row * steps + step]) : Held(0);
  }
  __syncthreads();
  const unsigned lane = threadIdx.x % kWarp;
  const uint32_t flip =
      0x808080u & ((1u << 8 * (digits - 1)) - 1);  // unsigned bytes less 128; the top is signed
  for (unsigned r = threadIdx.x / kWarp; r < kTileRows; r += kBlock / kWarp) {
    const size_t row = first_row + r;
    if (row >= rows) return;
    uint32_t values[4];
    Sum sum = 0;
#pragma unroll
    for (unsigned j = 0; j < 4; ++j) {
      const Held x = tile[4 * lane + j][r];
      sum += x;
      values[j] = static_cast<uint32_t>(static_cast<int32_t>(x)) ^ flip;
    }
    const size_t step = first_step + 4 * lane;
    if (step < steps) {
      for (unsigned d = 0; d < digits; ++d) {
        *reinterpret_cast<uint32_t*>(out + (d * rows + row) * steps + step) = packed(values, d);
      }
    }
    sum = warp_total(sum);
    if (lane == 0) atomicAdd(sums + row, static_cast<unsigned long long>(static_cast<long long>(sum)));
  }
}

// Modulo 2^64: what does not fit on the way does no harm. Four columns a thread.
__global__ void __launch_bounds__(kBlock)
    join_kernel(const int32_t* products, Product shape, Correction of_rows, Correction of_columns,
                uint64_t constant, uint64_t* out) {
  const unsigned column = 4 * (blockIdx.x * kBlock + threadIdx.x);
  if (column >= shape.columns) return;
  uint64_t base[4];
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    base[j] = constant;
    if (of_columns.factor) base[j] += of_columns.factor * static_cast<uint64_t>(of_columns.sums[column + j]);
  }
  uint64_t* to = out + (column / shape.inner) * (shape.rows * shape.inner) + column % shape.inner;
  for (size_t row = blockIdx.y; row < shape.rows; row += gridDim.y) {
    uint64_t x[4] = {0, 0, 0, 0};
    for (unsigned d = 0; d < shape.row_digits; ++d) {
      const int32_t* line = products + (d * shape.rows + row) * shape.column_digits * shape.columns + column;
      for (unsigned e = 0; e < shape.column_digits; ++e) {
        const int4 part =
            __ldcs(reinterpret_cast<const int4*>(line + static_cast<size_t>(e) * shape.columns));
        const unsigned place = 8 * (d + e);
        x[0] += static_cast<uint64_t>(static_cast<int64_t>(part.x)) << place;
        x[1] += static_cast<uint64_t>(static_cast<int64_t>(part.y)) << place;
        x[2] += static_cast<uint64_t>(static_cast<int64_t>(part.z)) << place;
        x[3] += static_cast<uint64_t>(static_cast<int64_t>(part.w)) << place;
      }
    }
    const uint64_t own = of_rows.factor ? of_rows.factor * static_cast<uint64_t>(of_rows.sums[row]) : 0;
#pragma unroll
    for (int j = 0; j < 4; ++j) x[j] += base[j] + own;
    ulonglong2* pairs = reinterpret_cast<ulonglong2*>(to + row * shape.inner);
    pairs[0] = make_ulonglong2(x[0], x[1]);
    pairs[1] = make_ulonglong2(x[2], x[3]);
  }
}

}  // namespace

void split_bytes(const Column& matrix, size_t rows, size_t steps, bool across, unsigned digits, int8_t* out,
                 int64_t* sums, Stream stream) {
  check(cudaMemsetAsync(sums, 0, rows * sizeof(int64_t), stream));
  const dim3 grid(blocks_for(rows, kTileRows), blocks_for(steps, kTileSteps));
  visit_integers(matrix, [&](auto* data) {
    using T = std::decay_t<decltype(*data)>;
    launch(across ? split_kernel<T, true> : split_kernel<T, false>, {grid, kBlock}, stream, data, rows, steps,
           digits, out, reinterpret_cast<unsigned long long*>(sums));
  });
}

void join_products(const int32_t* products, const Product& shape, const Correction& of_rows,
                   const Correction& of_columns, int64_t constant, int64_t* out, Stream stream) {
  const dim3 grid(blocks_for(shape.columns / 4), static_cast<unsigned>(std::min<size_t>(shape.rows, 65535)));
  launch(join_kernel, {grid, kBlock}, stream, products, shape, of_rows, of_columns,
         static_cast<uint64_t>(constant), reinterpret_cast<uint64_t*>(out));
}

}  // namespace zkcore::cuda
