// out[index[i]] += values[i].
#include "cuda/cells.cuh"
#include "cuda/sums.cuh"
#include "zkcore/field_counters.hpp"

namespace zkcore::cuda {
namespace {

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

void settle_cells(const unsigned long long* cells, size_t size, Fr* out, Stream stream) {
  launch(settle_kernel, looping(settle_kernel, size), stream, cells, size, out);
}

bool scatter_add(const int64_t* index, const Fr* values, size_t count, size_t size, Fr* out, Stream stream) {
  const Array<unsigned long long> cells(kCells * size, stream);
  const Array<uint32_t> wrong(1, stream);
  check(cudaMemsetAsync(cells.data(), 0, kCells * size * sizeof(unsigned long long), stream));
  check(cudaMemsetAsync(wrong.data(), 0, sizeof(uint32_t), stream));
  launch(scatter_kernel, looping(scatter_kernel, count), stream, index, values, count, size, cells.data(),
         wrong.data());
  settle_cells(cells.data(), size, out, stream);
  uint32_t outside = 0;
  copy_to_host(&outside, wrong.data(), sizeof outside, stream);
  return outside == 0;
}

}  // namespace zkcore::cuda
