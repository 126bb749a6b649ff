// What kernels share: shapes of grids, wide loads and stores, sums over a grid.
#pragma once

#include "cuda/launch.cuh"
#include "zkcore/column.hpp"
#include "zkcore/cuda.hpp"

namespace zkcore::cuda {

constexpr unsigned kBlock = 256;

int multiprocessors();
size_t shared_memory_limit();  // bytes a block may ask for
size_t device_memory();        // bytes in all, or what is planned with

// Resident blocks of a kernel on the whole device; `find` is asked once for each kernel.
unsigned resident_blocks(const void* kernel, unsigned block, int (*find)(const void*, unsigned));

template <class Kernel>
unsigned resident_blocks(Kernel* kernel, unsigned block = kBlock) {
  return resident_blocks(reinterpret_cast<const void*>(kernel), block,
                         [](const void* address, unsigned threads) {
                           int per_multiprocessor = 0;
                           check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(
                               &per_multiprocessor, reinterpret_cast<Kernel*>(const_cast<void*>(address)),
                               static_cast<int>(threads), 0));
                           return per_multiprocessor;
                         });
}

inline unsigned blocks_for(size_t n, unsigned block = kBlock) {
  return static_cast<unsigned>((n + block - 1) / block);
}

// As many blocks as are resident, or fewer: kernels loop over the rest.
template <class Kernel>
Shape looping(Kernel kernel, size_t n, unsigned block = kBlock) {
  const unsigned resident = resident_blocks(kernel, block);
  const unsigned needed = blocks_for(n, block);
  return {dim3(needed < resident ? needed : resident), block};
}

inline void copy_to_host(void* to, const void* from, size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream));
  check(cudaStreamSynchronize(stream));
}
inline void copy_to_device(void* to, const void* from, size_t bytes, Stream stream) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream));
}

__device__ __forceinline__ size_t thread_index() {
  return static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ __forceinline__ size_t thread_count() { return static_cast<size_t>(gridDim.x) * blockDim.x; }

// ---- memory: elements are multiples of 16 bytes and so aligned

__device__ __forceinline__ void set_words(uint64_t* to, const uint4& a) {
  to[0] = static_cast<uint64_t>(a.y) << 32 | a.x;
  to[1] = static_cast<uint64_t>(a.w) << 32 | a.z;
}
__device__ __forceinline__ uint4 words(const uint64_t* from) {
  return make_uint4(static_cast<uint32_t>(from[0]), static_cast<uint32_t>(from[0] >> 32),
                    static_cast<uint32_t>(from[1]), static_cast<uint32_t>(from[1] >> 32));
}

// Read again soon.
template <class F>
__device__ __forceinline__ F load(const F* from) {
  constexpr int kPieces = sizeof(F) / 16;
  const uint4* pieces = reinterpret_cast<const uint4*>(from);
  uint4 raw[kPieces];
#pragma unroll
  for (int i = 0; i < kPieces; ++i) raw[i] = pieces[i];
  F value;
#pragma unroll
  for (int i = 0; i < kPieces; ++i) set_words(reinterpret_cast<uint64_t*>(&value) + 2 * i, raw[i]);
  return value;
}
// Read once.
__device__ __forceinline__ Fr load_once(const Fr* from) {
  const uint4* pieces = reinterpret_cast<const uint4*>(from);
  const uint4 a = __ldcs(pieces);
  const uint4 b = __ldcs(pieces + 1);
  Fr value;
  set_words(value.v, a);
  set_words(value.v + 2, b);
  return value;
}
template <class F>
__device__ __forceinline__ void store(F* to, const F& value) {
  uint4* pieces = reinterpret_cast<uint4*>(to);
#pragma unroll
  for (int i = 0; i < static_cast<int>(sizeof(F) / 16); ++i) {
    pieces[i] = words(reinterpret_cast<const uint64_t*>(&value) + 2 * i);
  }
}

// ---- sums over a grid

// Where a grid leaves `K` sums: partial ones by block, the whole ones in `result`. `counter` is zero before
// and after. `flag` (null: nobody looks) gets the ticket once the result is there.
struct Report {
  Fr* partial;
  uint32_t* counter;
  Fr* result;
  uint64_t* flag;
  uint64_t ticket;
};

// Room for the reports of one stream.
class Reports {
 public:
  static constexpr unsigned kMaxBlocks = 2048;
  static constexpr int kMaxSums = 4;
  explicit Reports(Stream stream);
  Report to(Fr* result) const { return {partial_.data(), counter_.data(), result, nullptr, 0}; }
  // For one kernel; the result begins at the entry `first`.
  Report to(Mailbox& box, size_t first = 0) const {
    return {partial_.data(), counter_.data(), box.data() + first, box.flag(), box.new_ticket()};
  }

 private:
  Array<Fr> partial_;
  Array<uint32_t> counter_;
};

__device__ __forceinline__ Fr warp_sum(Fr x) {
#pragma unroll 1
  for (int distance = 16; distance > 0; distance /= 2) {
    Fr other;
#pragma unroll
    for (int i = 0; i < 4; ++i) other.v[i] = __shfl_xor_sync(0xffffffffu, x.v[i], distance);
    x += other;
  }
  return x;
}

// Thread k < K of a block of kBlock threads gets the block's sum of sums[k].
template <int K>
__device__ Fr block_sum(const Fr* sums) {
  __shared__ Fr warps[K][kBlock / 32];
#pragma unroll 1
  for (int k = 0; k < K; ++k) {
    const Fr x = warp_sum(sums[k]);
    if (threadIdx.x % 32 == 0) warps[k][threadIdx.x / 32] = x;
  }
  __syncthreads();
  Fr total = Fr::zero();
  if (threadIdx.x < K) {
    for (unsigned w = 0; w < kBlock / 32; ++w) total += warps[threadIdx.x][w];
  }
  __syncthreads();
  return total;
}

// By one block: thread k < K has the whole sum k.
template <int K>
__device__ __forceinline__ void deliver(const Fr& total, const Report& report) {
  if (threadIdx.x < K) store(report.result + threadIdx.x, total);
  if (report.flag == nullptr) return;
  if (threadIdx.x < K) __threadfence_system();
  __syncthreads();
  if (threadIdx.x == 0) *static_cast<volatile uint64_t*>(report.flag) = report.ticket;
}

// The last block to finish adds up what all have left.
template <int K>
__device__ void grid_sum(const Fr* sums, const Report& report) {
  Fr total = block_sum<K>(sums);
  if (gridDim.x == 1) return deliver<K>(total, report);
  __shared__ bool last;
  if (threadIdx.x < K) {
    store(report.partial + static_cast<size_t>(blockIdx.x) * K + threadIdx.x, total);
    __threadfence();
  }
  __syncthreads();
  if (threadIdx.x == 0) last = atomicAdd(report.counter, 1u) == gridDim.x - 1;
  __syncthreads();
  if (!last) return;
  __threadfence();
  Fr all[K];
#pragma unroll
  for (int k = 0; k < K; ++k) all[k] = Fr::zero();
  for (unsigned b = threadIdx.x; b < gridDim.x; b += kBlock) {
#pragma unroll
    for (int k = 0; k < K; ++k) all[k] += load_once(report.partial + static_cast<size_t>(b) * K + k);
  }
  total = block_sum<K>(all);
  if (threadIdx.x == 0) *report.counter = 0;
  deliver<K>(total, report);
}

}  // namespace zkcore::cuda
