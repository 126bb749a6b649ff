// out[index[i]] += values[i]. Sums are kept as 32-bit limbs in 64-bit cells, to which threads add atomically,
// and reduced at the end. Long columns are first sorted by target, a chunk a block: then a few threads add up
// a target's values in many chunks and touch its cells once.
#include <algorithm>

#include "cuda/scan.cuh"
#include "cuda/sums.cuh"
#include "zkcore/field_counters.hpp"

namespace zkcore::cuda {
namespace {

constexpr int kCells = 8;

__device__ __forceinline__ void add_to_cells(unsigned long long* cells, const Fr& value) {
#pragma unroll
  for (int k = 0; k < kCells; ++k) {
    const uint32_t limb = static_cast<uint32_t>(value.v[k / 2] >> (32 * (k % 2)));
    if (limb) atomicAdd(cells + k, static_cast<unsigned long long>(limb));
  }
}

// ---- short columns and large tables

// A warp keeps the sum of a crowded target in its registers until another target is more crowded: each thread
// adds what it meets.
class Crowd {
 public:
  __device__ explicit Crowd(unsigned long long* cells) : cells_(cells), share_(Fr::zero()) {}

  __device__ __forceinline__ bool takes(int64_t target, const Fr& value) {
    if (target != target_) return false;
    share_ += value;
    return true;
  }
  // The same for all threads of the warp.
  __device__ void move_to(int64_t target) {
    if (target_ >= 0) {
      const Fr sum = warp_sum(share_);
      if (threadIdx.x % 32 == 0) add_to_cells(cells_ + kCells * target_, sum);
    }
    target_ = target;
    share_ = Fr::zero();
  }

 private:
  unsigned long long* cells_;
  int64_t target_ = -1;
  Fr share_;
};

__global__ void __launch_bounds__(kBlock)
    scatter_kernel(const int64_t* index, const Fr* values, size_t n, size_t size, unsigned long long* cells,
                   uint32_t* wrong) {
  constexpr int kCrowded = 6;
  const size_t step = thread_count();
  const size_t rounds = (n + step - 1) / step;
  Crowd crowd(cells);
  for (size_t r = 0; r < rounds; ++r) {
    const size_t i = r * step + thread_index();
    bool pending = i < n;
    const int64_t target = pending ? index[i] : -1;
    if (pending && (target < 0 || static_cast<uint64_t>(target) >= size)) {
      *wrong = 1;
      pending = false;
    }
    const Fr value = pending ? load_once(values + i) : Fr::zero();
    pending = pending && !crowd.takes(target, value);
    const uint32_t waiting = __ballot_sync(0xffffffffu, pending);
    if (waiting == 0) continue;
    const int64_t common = __shfl_sync(0xffffffffu, target, __ffs(static_cast<int>(waiting)) - 1);
    if (__popc(__ballot_sync(0xffffffffu, pending && target == common)) >= kCrowded) {
      crowd.move_to(common);
      pending = pending && !crowd.takes(target, value);
    }
    if (pending) add_to_cells(cells + kCells * target, value);
  }
  crowd.move_to(-1);
}

// ---- long columns: sorted chunks

constexpr unsigned kSortBlock = 1024;
constexpr size_t kWorthSorting = size_t{1} << 20;
constexpr size_t kLeastChunk = size_t{1} << 15;  // values that a block sorts; more where there are more
constexpr size_t kMostChunk = size_t{1} << 17;   // order[] of the chunks in work fits the cache
constexpr uint32_t kSlice = 1 << 15;             // targets of one pass: counters in shared memory
constexpr uint32_t kMostSlices = 4;              // larger tables are not worth as many passes
constexpr uint32_t kCrowded = 128;               // values of a target in a chunk that a warp adds up
constexpr uint32_t kCrowdPiece = 1024;           // of which it takes as many at a time

// Values of a crowded target: a piece of order[].
struct CrowdPiece {
  uint32_t target, count;
  size_t chunk, begin;
};
struct CrowdList {
  CrowdPiece* pieces;
  uint32_t* count;
};
// A piece has at least kCrowded values, or is the rest of one that has kCrowdPiece.
size_t most_pieces(size_t n) { return n / kCrowded + n / kCrowdPiece + 1; }

// Calls fn(i, index[i] - base) for a block's values, several of them read at a time.
template <class Fn>
__device__ __forceinline__ void for_each_target(const int64_t* index, uint32_t count, uint64_t base,
                                                Fn&& fn) {
  constexpr uint32_t kTogether = 8;
  for (uint32_t start = threadIdx.x; start < count; start += kTogether * kSortBlock) {
    uint64_t targets[kTogether];
#pragma unroll
    for (uint32_t k = 0; k < kTogether; ++k) {
      const uint32_t i = start + k * kSortBlock;
      targets[k] = i < count ? static_cast<uint64_t>(index[i]) - base : 0;
    }
#pragma unroll
    for (uint32_t k = 0; k < kTogether; ++k) {
      if (start + k * kSortBlock < count) fn(start + k * kSortBlock, targets[k]);
    }
  }
}

// The targets `base` to `base + size`. begins[chunk][target]: where a target's values begin in order[chunk],
// which lists the chunk's values by target. Indices from `limit` on are wrong.
__global__ void __launch_bounds__(kSortBlock)
    sort_chunks_kernel(const int64_t* index, size_t n, size_t chunk, uint64_t base, uint32_t size,
                       uint64_t limit, uint32_t* begins, uint32_t* order, CrowdList crowds, uint32_t* wrong) {
  extern __shared__ uint32_t bins[];
  const size_t first = blockIdx.x * chunk;
  const auto count = static_cast<uint32_t>(min(chunk, n - first));
  for (uint32_t b = threadIdx.x; b < size; b += kSortBlock) bins[b] = 0;
  __syncthreads();
  for_each_target(index + first, count, base, [&](uint32_t, uint64_t target) {
    if (target < size) {
      atomicAdd(bins + target, 1u);
    } else if (target + base >= limit) {
      *wrong = 1;
    }
  });
  __syncthreads();
  uint32_t* out = begins + blockIdx.x * (static_cast<size_t>(size) + 1);
  const uint32_t total = block_scan(bins, size);
  for (uint32_t b = threadIdx.x; b < size; b += kSortBlock) {
    const uint32_t begin = bins[b];
    const uint32_t own = (b + 1 < size ? bins[b + 1] : total) - begin;
    out[b] = begin;
    if (own < kCrowded) continue;
    for (uint32_t from = 0; from < own; from += kCrowdPiece) {
      crowds.pieces[atomicAdd(crowds.count, 1u)] = {b, min(kCrowdPiece, own - from), first, begin + from};
    }
  }
  if (threadIdx.x == 0) out[size] = total;
  __syncthreads();
  for_each_target(index + first, count, base, [&](uint32_t i, uint64_t target) {
    if (target < size) order[first + atomicAdd(bins + target, 1u)] = i;
  });
}

// Eight threads a target, each with every eighth chunk of the block's share.
__global__ void __launch_bounds__(kBlock)
    add_sorted_kernel(const uint32_t* begins, const uint32_t* order, const Fr* values, size_t chunk,
                      unsigned chunks, uint32_t size, unsigned long long* cells) {
  constexpr uint32_t kGroup = 8;
  const unsigned share = (chunks + gridDim.y - 1) / gridDim.y;
  const unsigned last = min(chunks, (blockIdx.y + 1) * share);
  const uint32_t groups = kBlock / kGroup;
  for (uint32_t base = blockIdx.x * groups; base < size; base += gridDim.x * groups) {
    const uint32_t target = base + threadIdx.x / kGroup;
    if (target >= size) continue;
    Fr sum = Fr::zero();
    for (unsigned c = blockIdx.y * share + threadIdx.x % kGroup; c < last; c += kGroup) {
      const uint32_t* at = begins + c * (static_cast<size_t>(size) + 1) + target;
      const uint32_t begin = at[0];
      const uint32_t end = at[1];
      if (end - begin >= kCrowded) continue;
      const size_t first = c * chunk;
#pragma unroll 2
      for (uint32_t i = begin; i < end; ++i) sum += load(values + first + order[first + i]);
    }
    if (!sum.is_zero()) add_to_cells(cells + kCells * static_cast<size_t>(target), sum);
  }
}

__global__ void __launch_bounds__(kBlock)
    add_crowds_kernel(CrowdList crowds, const uint32_t* order, const Fr* values, unsigned long long* cells) {
  const uint32_t count = *crowds.count;
  const unsigned lane = threadIdx.x % 32;
  for (size_t p = thread_index() / 32; p < count; p += thread_count() / 32) {
    const CrowdPiece piece = crowds.pieces[p];
    const uint32_t* own = order + piece.chunk + piece.begin;
    Fr sum = Fr::zero();
#pragma unroll 4
    for (uint32_t i = lane; i < piece.count; i += 32) sum += load(values + piece.chunk + own[i]);
    sum = warp_sum(sum);
    if (lane == 0) add_to_cells(cells + kCells * static_cast<size_t>(piece.target), sum);
  }
}

void add_sorted(const int64_t* index, const Fr* values, size_t n, size_t size, unsigned long long* cells,
                uint32_t* wrong, Stream stream) {
  const auto blocks = static_cast<size_t>(multiprocessors());
  const size_t chunk = std::clamp((n + blocks - 1) / blocks, kLeastChunk, kMostChunk);
  const auto chunks = static_cast<unsigned>((n + chunk - 1) / chunk);
  const auto slice = static_cast<uint32_t>(std::min<size_t>(size, kSlice));
  const Array<uint32_t> begins(chunks * (static_cast<size_t>(slice) + 1), stream), order(n, stream),
      found(1, stream);
  const Array<CrowdPiece> pieces(most_pieces(n), stream);
  const CrowdList crowds{pieces.data(), found.data()};
  const size_t shared = slice * sizeof(uint32_t);
  check(cudaFuncSetAttribute(sort_chunks_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(shared)));
  for (size_t base = 0; base < size; base += slice) {
    const auto own = static_cast<uint32_t>(std::min<size_t>(slice, size - base));
    unsigned long long* own_cells = cells + kCells * base;
    check(cudaMemsetAsync(found.data(), 0, sizeof(uint32_t), stream));
    launch(sort_chunks_kernel, {dim3(chunks), kSortBlock, shared}, stream, index, n, chunk, base, own, size,
           begins.data(), order.data(), crowds, wrong);
    const unsigned across = blocks_for(own, kBlock / 8);
    const unsigned resident = resident_blocks(add_sorted_kernel);
    const unsigned parts = std::clamp(resident / across, 1u, (chunks + 7) / 8);
    launch(add_sorted_kernel, {dim3(std::min(across, resident), parts), kBlock}, stream, begins.data(),
           order.data(), values, chunk, chunks, own, own_cells);
    launch(add_crowds_kernel, looping(add_crowds_kernel, n / 8), stream, crowds, order.data(), values,
           own_cells);
  }
}

__global__ void __launch_bounds__(kBlock)
    settle_kernel(const unsigned long long* cells, size_t size, Fr* out) {
  for (size_t i = thread_index(); i < size; i += thread_count()) {
    uint32_t limbs[8];
    uint64_t carry = 0;
#pragma unroll
    for (int k = 0; k < kCells; ++k) {
      const uint64_t low = carry + static_cast<uint32_t>(cells[kCells * i + k]);
      limbs[k] = static_cast<uint32_t>(low);
      carry = (low >> 32) + (cells[kCells * i + k] >> 32);
    }
    for (int k = 0; k < 2; ++k) ptx::subtract_once<FrParams>(limbs);  // 2^256 < 3p
    Fr low, high = Fr::zero();
    ptx::join<8>(low.v, limbs);
    high.v[0] = carry;
    store(out + i, low + Fr::mul_wide(Fr::r_squared(), high));
  }
}

}  // namespace

bool scatter_add(const int64_t* index, const Fr* values, size_t count, size_t size, Fr* out, Stream stream) {
  const Array<unsigned long long> cells(kCells * size, stream);
  const Array<uint32_t> wrong(1, stream);
  check(cudaMemsetAsync(cells.data(), 0, kCells * size * sizeof(unsigned long long), stream));
  check(cudaMemsetAsync(wrong.data(), 0, sizeof(uint32_t), stream));
  if (count >= kWorthSorting && size <= size_t{kSlice} * kMostSlices) {
    add_sorted(index, values, count, size, cells.data(), wrong.data(), stream);
  } else {
    launch(scatter_kernel, looping(scatter_kernel, count), stream, index, values, count, size, cells.data(),
           wrong.data());
  }
  launch(settle_kernel, looping(settle_kernel, size), stream, cells.data(), size, out);
  uint32_t outside = 0;
  copy_to_host(&outside, wrong.data(), sizeof outside, stream);
  return outside == 0;
}

}  // namespace zkcore::cuda
