// out[index[i]] += values[i]. Sums are kept as 32-bit limbs in 64-bit cells, to which threads add atomically,
// and reduced at the end. Long columns are first sorted by target, a chunk a block: then a few threads add up
// all of a target's values in a chunk and touch its cells once.
#include <algorithm>

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
constexpr size_t kChunk = size_t{1} << 20;  // values that a block sorts
constexpr uint32_t kSlice = 1 << 15;        // targets of one pass: counters in shared memory
constexpr uint32_t kMostSlices = 4;         // larger tables are not worth as many passes

// The targets `base` to `base + size`. begins[chunk][target]: where a target's values begin in order[chunk],
// which lists the chunk's values by target. Indices from `limit` on are wrong.
__global__ void __launch_bounds__(kSortBlock)
    sort_chunks_kernel(const int64_t* index, size_t n, uint64_t base, uint32_t size, uint64_t limit,
                       uint32_t* begins, uint32_t* order, uint32_t* wrong) {
  extern __shared__ uint32_t bins[];
  __shared__ uint32_t warps[kSortBlock / 32];
  const size_t first = blockIdx.x * kChunk;
  const uint32_t count = static_cast<uint32_t>(min(kChunk, n - first));
  for (uint32_t b = threadIdx.x; b < size; b += kSortBlock) bins[b] = 0;
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < count; i += kSortBlock) {
    const uint64_t target = static_cast<uint64_t>(index[first + i]) - base;
    if (target < size) {
      atomicAdd(bins + target, 1u);
    } else if (target + base >= limit) {
      *wrong = 1;
    }
  }
  __syncthreads();
  // Exclusive sums: each thread scans its own run of counters.
  const uint32_t each = (size + kSortBlock - 1) / kSortBlock;
  const uint32_t begin = min(size, threadIdx.x * each);
  const uint32_t end = min(size, begin + each);
  uint32_t own = 0;
  for (uint32_t b = begin; b < end; ++b) own += bins[b];
  uint32_t sum = own;
  const unsigned lane = threadIdx.x % 32;
  for (unsigned d = 1; d < 32; d *= 2) {
    const uint32_t below = __shfl_up_sync(0xffffffffu, sum, d);
    if (lane >= d) sum += below;
  }
  if (lane == 31) warps[threadIdx.x / 32] = sum;
  __syncthreads();
  uint32_t running = sum - own;
  for (unsigned w = 0; w < threadIdx.x / 32; ++w) running += warps[w];
  uint32_t* out = begins + blockIdx.x * (static_cast<size_t>(size) + 1);
  for (uint32_t b = begin; b < end; ++b) {
    const uint32_t here = bins[b];
    out[b] = bins[b] = running;
    running += here;
  }
  if (end == size && begin < size) out[size] = running;
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < count; i += kSortBlock) {
    const uint64_t target = static_cast<uint64_t>(index[first + i]) - base;
    if (target < size) order[first + atomicAdd(bins + target, 1u)] = i;
  }
}

// Eight threads a target of a chunk, the whole block a crowded one.
__global__ void __launch_bounds__(kBlock)
    add_sorted_kernel(const uint32_t* begins, const uint32_t* order, const Fr* values, uint32_t size,
                      unsigned long long* cells) {
  constexpr uint32_t kGroup = 8;
  constexpr uint32_t kCrowded = 2048;
  const uint32_t* chunk_begins = begins + blockIdx.y * (static_cast<size_t>(size) + 1);
  const uint32_t* chunk_order = order + blockIdx.y * kChunk;
  const Fr* chunk = values + blockIdx.y * kChunk;
  const auto share = [&](uint32_t begin, uint32_t end, uint32_t member, uint32_t members) {
    Fr sum = Fr::zero();
    for (uint32_t i = begin + member; i < end; i += members) sum += load(chunk + chunk_order[i]);
    return sum;
  };
  const uint32_t groups = kBlock / kGroup;
  for (uint32_t first = blockIdx.x * groups; first < size; first += gridDim.x * groups) {
    const uint32_t target = first + threadIdx.x / kGroup;
    const uint32_t begin = target < size ? chunk_begins[target] : 0;
    const uint32_t end = target < size ? chunk_begins[target + 1] : 0;
    const bool crowded = end - begin >= kCrowded;
    if (begin < end && !crowded) {
      const Fr sum = share(begin, end, threadIdx.x % kGroup, kGroup);
      if (!sum.is_zero()) add_to_cells(cells + kCells * static_cast<size_t>(target), sum);
    }
    if (!__syncthreads_or(crowded)) continue;
    for (uint32_t other = first; other < min(size, first + groups); ++other) {
      const uint32_t from = chunk_begins[other];
      const uint32_t to = chunk_begins[other + 1];
      if (to - from < kCrowded) continue;
      const Fr sum = warp_sum(share(from, to, threadIdx.x, kBlock));
      if (threadIdx.x % 32 == 0 && !sum.is_zero())
        add_to_cells(cells + kCells * static_cast<size_t>(other), sum);
    }
  }
}

void add_sorted(const int64_t* index, const Fr* values, size_t n, size_t size, unsigned long long* cells,
                uint32_t* wrong, Stream stream) {
  const auto chunks = static_cast<unsigned>((n + kChunk - 1) / kChunk);
  const auto slice = static_cast<uint32_t>(std::min<size_t>(size, kSlice));
  const Array<uint32_t> begins(chunks * (static_cast<size_t>(slice) + 1), stream),
      order(chunks * kChunk, stream);
  const size_t shared = slice * sizeof(uint32_t);
  check(cudaFuncSetAttribute(sort_chunks_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(shared)));
  for (size_t base = 0; base < size; base += slice) {
    const auto own = static_cast<uint32_t>(std::min<size_t>(slice, size - base));
    launch(sort_chunks_kernel, {dim3(chunks), kSortBlock, shared}, stream, index, n, base, own, size,
           begins.data(), order.data(), wrong);
    const unsigned across = std::min(64u, blocks_for(own, kBlock / 8));
    launch(add_sorted_kernel, {dim3(across, chunks), kBlock}, stream, begins.data(), order.data(), values,
           own, cells + kCells * base);
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
  if (count >= kChunk && size <= size_t{kSlice} * kMostSlices) {
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
