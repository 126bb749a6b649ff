// 1. sort      one block a lane: counts of the digits' magnitudes in shared memory, then the columns of each
//              bucket one after the other. A reference is a column or an earlier sum, and a sign.
// 2. pairs     round k adds neighbours within buckets: a bucket of c references has floor(c / 2) additions
// and
//              leaves ceil(c / 2) references. All lanes' additions of a round are one batch; sums go to a
//              pool.
// 3. grid      buckets b = W h + l + 1 of a lane, l < W, as a grid: sum_b b B_b = W sum_h h R_h + sum_l (l +
// 1) C_l
//              with the sums R of rows and C of columns, again in batches of pairs.
// 4. weights   one block a lane: running sums of a few entries a thread, times their place, added up.
#include <algorithm>
#include <bit>
#include <vector>

#include "cuda/batch_affine.cuh"
#include "cuda/buckets.cuh"
#include "cuda/join.cuh"
#include "cuda/scan.cuh"

namespace zkcore::cuda {
namespace {

constexpr unsigned kSortBlock = 1024;
constexpr int kRounds = 32;  // enough for any count below 2^31

// ---- references

using Reference = uint32_t;
constexpr Reference kNegative = 1u << 31;
constexpr Reference kPooled = 1u << 30;

struct Places {
  const Affine* points;
  Affine* pool;
  __device__ __forceinline__ Operand operator()(Reference r) const {
    const Reference index = r & (kPooled - 1);
    return {(r & kPooled ? pool : points) + index, (r & kNegative) != 0};
  }
};

// ---- digits

__device__ __forceinline__ int32_t window_of(const uint64_t* biased, int limbs, const Windows& w,
                                             int window) {
  const int position = window * w.bits;
  const int word = position / 64;
  const int shift = position % 64;
  uint64_t x = biased[word] >> shift;
  if (shift + w.bits > 64 && word + 1 < limbs) x |= biased[word + 1] << (64 - shift);
  if (window + 1 == w.count) return static_cast<int32_t>(x);  // begins in the last limb
  x &= (uint64_t{1} << w.bits) - 1;
  return static_cast<int32_t>(x) - (1 << (w.bits - 1));
}

template <class T>
__device__ __forceinline__ int32_t digit_at(const DigitView& d, size_t row, int window, size_t column) {
  const size_t at = row * d.width + column;
  if constexpr (kIsField<T>) {
    const BiasedScalar s = load(static_cast<const BiasedScalar*>(d.data) + at);
    const int32_t digit = window_of(s.v, 4, d.windows, window);
    return d.negative[at] ? -digit : digit;
  } else {
    const int64_t x = static_cast<const T*>(d.data)[at];
    if (d.windows.count == 1) return static_cast<int32_t>(x);
    uint64_t biased = x < 0 ? ~static_cast<uint64_t>(x) + 1 : static_cast<uint64_t>(x);
    for (int t = 0; t + 1 < d.windows.count; ++t)
      biased += uint64_t{1} << (d.windows.bits * t + d.windows.bits - 1);
    const int32_t digit = window_of(&biased, 1, d.windows, window);
    return x < 0 ? -digit : digit;
  }
}

// Calls fn(column, digit) for the block's columns, reading several before the first is used.
template <class T, class Fn>
__device__ __forceinline__ void for_each_digit(const DigitView& d, size_t row, int window, Fn&& fn) {
  constexpr int kTogether = 8;
  const size_t last = (kTogether - 1) * static_cast<size_t>(blockDim.x);
  size_t first = threadIdx.x;
  for (; first + last < d.width; first += last + blockDim.x) {
    int32_t read[kTogether];
#pragma unroll
    for (int k = 0; k < kTogether; ++k) read[k] = digit_at<T>(d, row, window, first + k * blockDim.x);
#pragma unroll
    for (int k = 0; k < kTogether; ++k) fn(first + k * blockDim.x, read[k]);
  }
  for (; first < d.width; first += blockDim.x) fn(first, digit_at<T>(d, row, window, first));
}

// ---- sort

// counts[lane][bucket]; lane_totals[lane][k] = sum over buckets of ceil(count / 2^k).
template <class T>
__global__ void __launch_bounds__(kSortBlock)
    sort_kernel(DigitView digits, size_t first_lane, Reference* references, uint32_t* counts,
                uint32_t* lane_totals) {
  extern __shared__ uint32_t bins[];
  const uint32_t buckets = 1u << (digits.windows.bits - 1);
  const size_t lane = first_lane + blockIdx.x;
  const size_t row = lane / digits.windows.count;
  const int window = static_cast<int>(lane % digits.windows.count);
  for (uint32_t b = threadIdx.x; b < buckets; b += blockDim.x) bins[b] = 0;
  __syncthreads();
  for_each_digit<T>(digits, row, window, [&](size_t, int32_t digit) {
    if (digit != 0) atomicAdd(bins + (digit < 0 ? -digit : digit) - 1, 1u);
  });
  __syncthreads();
  __shared__ uint32_t totals[kRounds];
  if (threadIdx.x < kRounds) totals[threadIdx.x] = 0;
  __syncthreads();
  uint32_t own[kRounds] = {};
  for (uint32_t b = threadIdx.x; b < buckets; b += blockDim.x) {
    const uint32_t count = bins[b];
    counts[blockIdx.x * static_cast<size_t>(buckets) + b] = count;
#pragma unroll
    for (int k = 0; k < kRounds; ++k) {
      own[k] += static_cast<uint32_t>((static_cast<uint64_t>(count) + (uint64_t{1} << k) - 1) >> k);
    }
  }
#pragma unroll
  for (int k = 0; k < kRounds; ++k) {
    uint32_t sum = own[k];
    for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, d);
    if (threadIdx.x % 32 == 0) atomicAdd(totals + k, sum);
  }
  __syncthreads();
  if (threadIdx.x < kRounds) lane_totals[blockIdx.x * kRounds + threadIdx.x] = totals[threadIdx.x];
  block_scan(bins, buckets);
  for_each_digit<T>(digits, row, window, [&](size_t j, int32_t digit) {
    if (digit == 0) return;
    const uint32_t at = atomicAdd(bins + (digit < 0 ? -digit : digit) - 1, 1u);
    references[blockIdx.x * digits.width + at] = static_cast<Reference>(j) | (digit < 0 ? kNegative : 0);
  });
}

// ---- pairs

// offsets[lane][bucket] of round k: exclusive sums of ceil(count / 2^k).
__global__ void __launch_bounds__(kSortBlock)
    offsets_kernel(const uint32_t* counts, uint32_t buckets, int round, uint32_t* offsets) {
  extern __shared__ uint32_t bins[];
  const size_t base = blockIdx.x * static_cast<size_t>(buckets);
  for (uint32_t b = threadIdx.x; b < buckets; b += blockDim.x) {
    bins[b] = static_cast<uint32_t>((static_cast<uint64_t>(counts[base + b]) + (uint64_t{1} << round) - 1) >>
                                    round);
  }
  __syncthreads();
  block_scan(bins, buckets);
  for (uint32_t b = threadIdx.x; b < buckets; b += blockDim.x) offsets[base + b] = bins[b];
}

struct Pair {
  Reference a, b;
};

struct PairRound {
  const uint32_t* counts;
  const uint32_t* offsets;       // of this round
  const uint32_t* next_offsets;  // of the next
  const uint32_t* first_pair;    // [lane], in this round's batch
  const Reference* references;   // [lane][width]
  Reference* next_references;
  Pair* pairs;
  size_t width;
  uint32_t buckets;
  uint32_t pool_start;
  int round;
};

// The references of bucket b; `members` threads share the work, this being one of them.
__device__ __forceinline__ void pair_up(const PairRound& r, size_t lane, uint32_t b, uint32_t count,
                                        unsigned member, unsigned members) {
  const size_t at = lane * r.buckets + b;
  const uint32_t begin = r.offsets[at];
  const uint32_t next = r.next_offsets[at];
  const uint32_t pair = r.first_pair[lane] + (begin - next);
  const Reference* from = r.references + lane * r.width + begin;
  Reference* to = r.next_references + lane * r.width + next;
  for (uint32_t i = member; i < count / 2; i += members) {
    r.pairs[pair + i] = {from[2 * i], from[2 * i + 1]};
    to[i] = kPooled | (r.pool_start + pair + i);
  }
  if (count % 2 == 1 && member == 0) to[count / 2] = from[count - 1];
}

// Addition (offset - next offset) + i takes a bucket's references 2i and 2i + 1. `group` threads share a
// bucket, the whole block a large one.
__global__ void __launch_bounds__(kBlock) pairs_kernel(PairRound r, unsigned group) {
  constexpr uint32_t kLarge = 8192;
  const uint32_t groups = kBlock / group;
  const size_t lane = blockIdx.x;
  const auto count_of = [&](uint32_t b) {
    const uint64_t full =
        static_cast<uint64_t>(r.counts[lane * r.buckets + b]) + (uint64_t{1} << r.round) - 1;
    return static_cast<uint32_t>(full >> r.round);
  };
  for (uint32_t first = blockIdx.y * groups; first < r.buckets; first += gridDim.y * groups) {
    const uint32_t b = first + threadIdx.x / group;
    const uint32_t count = b < r.buckets ? count_of(b) : 0;
    if (count > 0 && count < kLarge) pair_up(r, lane, b, count, threadIdx.x % group, group);
    if (!__syncthreads_or(count >= kLarge)) continue;
    for (uint32_t other = first; other < min(r.buckets, first + groups); ++other) {
      const uint32_t large = count_of(other);
      if (large >= kLarge) pair_up(r, lane, other, large, threadIdx.x, kBlock);
    }
  }
}

struct PairSource {
  Places places;
  const Pair* pairs;
  Affine* sums;
  __device__ __forceinline__ Operand a(size_t i) const { return places(pairs[i].a); }
  __device__ __forceinline__ Operand b(size_t i) const { return places(pairs[i].b); }
  __device__ __forceinline__ Affine* out(size_t i) const { return sums + i; }
};

// dense[lane][bucket] from the last references.
__global__ void __launch_bounds__(kBlock)
    gather_kernel(const uint32_t* counts, const uint32_t* offsets, const Reference* references, size_t width,
                  uint32_t buckets, size_t total, Places places, Affine* dense) {
  for (size_t at = thread_index(); at < total; at += thread_count()) {
    Affine p = Affine::infinity();
    if (counts[at] > 0) {
      const Operand operand = places(references[at / buckets * width + offsets[at]]);
      p = {operand.x(), operand.y()};
    }
    store(dense + at, p);
  }
}

// ---- grid sums: halves of one axis are added to each other

// in[outer][length][inner] -> out[outer][length / 2][inner].
struct HalvesSource {
  const Affine* in;
  Affine* sums;
  size_t half;  // length / 2
  size_t inner;
  __device__ __forceinline__ size_t place(size_t i) const {
    return i / (half * inner) * (2 * half * inner) + i % (half * inner);
  }
  __device__ __forceinline__ Operand a(size_t i) const { return {in + place(i), false}; }
  __device__ __forceinline__ Operand b(size_t i) const { return {in + place(i) + half * inner, false}; }
  __device__ __forceinline__ Affine* out(size_t i) const { return sums + i; }
};

// out[outer][inner] = sum over `length` entries of in[outer][length][inner].
__global__ void __launch_bounds__(128)
    short_sums_kernel(const Affine* in, size_t length, size_t inner, size_t total, Xyzz* out) {
  const size_t i = thread_index();
  if (i >= total) return;
  const Affine* at = in + i / inner * length * inner + i % inner;
  Xyzz sum = Xyzz::infinity();
  for (size_t k = 0; k < length; ++k) add_to(sum, load(at + k * inner));
  store(out + i, sum);
}

// ---- weighted sums: `members` threads a lane

constexpr unsigned kWeightBlock = 64;

template <class Point>
struct Weighted {
  const Point* entries;  // [lane][count]
  uint32_t count;        // a power of two
  uint32_t first;        // entry i weighs first + i
  int doublings;         // the whole sum is doubled so often
};

// A member's entries from `begin` on: running sums from the top weigh them 1, 2, ..., the rest comes by bits.
template <class Point>
__device__ Xyzz weighted_share(const Weighted<Point>& w, size_t lane, unsigned member, unsigned members) {
  const uint32_t each = (w.count + members - 1) / members;
  const uint32_t begin = member * each;
  Xyzz running = Xyzz::infinity();
  Xyzz sum = Xyzz::infinity();
  if (begin >= w.count) return sum;
  for (uint32_t i = min(w.count, begin + each); i-- > begin;) {
    add_to(running, load(w.entries + lane * w.count + i));
    add_to(sum, running);
  }
  // So far entry begin + i weighs i + 1; it is to weigh first + begin + i.
  const uint32_t factor = w.first + begin;
  if (factor != 1) {
    Xyzz multiple = Xyzz::infinity();
    for (int bit = 31 - __clz(static_cast<int>(factor)); bit >= 0; --bit) {
      double_it(multiple);
      if (factor >> bit & 1) add_to(multiple, running);
    }
    add_to(sum, multiple);
    running.y = -running.y;
    add_to(sum, running);
  }
  for (int i = 0; i < w.doublings; ++i) double_it(sum);
  return sum;
}

template <class Point>
__global__ void __launch_bounds__(kWeightBlock)
    weigh_kernel(Weighted<Point> rows, Weighted<Point> columns, unsigned members, size_t lanes, Xyzz* out) {
  const size_t lane = static_cast<size_t>(blockIdx.x) * (kWeightBlock / members) + threadIdx.x / members;
  const unsigned member = threadIdx.x % members;
  Xyzz sum = Xyzz::infinity();
  if (lane < lanes) {
    sum = weighted_share(rows, lane, member, members);
    if (columns.count > 0) add_to(sum, weighted_share(columns, lane, member, members));
  }
  join_members<kWeightBlock>(sum, members);
  if (member == 0 && lane < lanes) store(out + lane, sum);
}

// Horner's rule over the windows of a row.
__global__ void __launch_bounds__(128)
    join_windows_kernel(const Xyzz* lanes, size_t rows, Windows windows, Xyzz* out) {
  const size_t i = thread_index();
  if (i >= rows) return;
  Xyzz sum = Xyzz::infinity();
  for (int t = windows.count; t-- > 0;) {
    if (t + 1 < windows.count) {
      for (int k = 0; k < windows.bits; ++k) double_it(sum);
    }
    add_to(sum, load(lanes + i * windows.count + t));
  }
  store(out + i, sum);
}

__global__ void __launch_bounds__(kBlock)
    bias_kernel(const Fr* scalars, size_t n, Windows windows, BiasedScalar* out, uint8_t* negative) {
  for (size_t i = thread_index(); i < n; i += thread_count()) {
    const Fr x = load(scalars + i);
    const Limbs<4> plain = x.to_limbs();
    const Limbs<4> minus = (-x).to_limbs();
    const bool flip = less_than<4>(minus.v, plain.v);
    BiasedScalar s;
    for (int k = 0; k < 4; ++k) s.v[k] = flip ? minus.v[k] : plain.v[k];
    for (int t = 0; t + 1 < windows.count; ++t) {
      const int position = windows.bits * t + windows.bits - 1;
      uint64_t carry = 0;
      for (int k = 0; k < 4; ++k) {
        s.v[k] = add_carry(s.v[k], k == position / 64 ? uint64_t{1} << (position % 64) : 0, carry);
      }
    }
    store(out + i, s);
    negative[i] = flip;
  }
}

// What one lane's `weighted_share`s take.
struct LaneWork {
  uint64_t adds = 0, doublings = 0;

  template <class Point>
  void add(const Weighted<Point>& w, unsigned members) {
    const uint32_t each = (w.count + members - 1) / members;
    for (uint32_t begin = 0; begin < w.count; begin += each) {
      adds += 2 * std::min(each, w.count - begin);
      doublings += static_cast<uint64_t>(w.doublings);
      const uint32_t factor = w.first + begin;
      if (factor == 1) continue;
      adds += static_cast<uint64_t>(std::popcount(factor)) + 2;
      doublings += static_cast<uint64_t>(std::bit_width(factor));
    }
  }
};

// ---- lanes of one pass

constexpr size_t kBytesAnEntry = 160;  // of a pass: a sum and its place in the batch, references, a pair
constexpr uint32_t kGridFrom = 1024;   // buckets of a lane that are worth a grid
constexpr size_t kShortSum = 8;        // entries that one thread adds up
constexpr size_t kJoinOnHost = 4;      // rows: their doublings are one long chain

// Entries of one pass: many lanes fill the device in the sort and in late rounds; a sixth of its memory.
size_t entries_at_once() {
  return std::clamp(std::bit_floor(device_memory() / 6 / kBytesAnEntry), size_t{1} << 20, size_t{1} << 27);
}

class Pass {
 public:
  Pass(const Affine* points, const DigitView& digits, Stream stream)
      : points_(points), digits_(digits), buckets_(digits.windows.buckets()), stream_(stream) {}

  // sums[lane - first] for `lanes` lanes.
  void sum(size_t first, size_t lanes, Xyzz* sums) {
    sort(first, lanes);
    add_rounds(lanes);
    reduce(lanes, sums);
  }

 private:
  size_t bins() const { return buckets_ * sizeof(uint32_t); }

  void sort(size_t first, size_t lanes) {
    references_ = Array<Reference>(lanes * digits_.width, stream_);
    counts_ = Array<uint32_t>(lanes * buckets_, stream_);
    const Array<uint32_t> totals(lanes * kRounds, stream_);
    const auto run = [&](auto kernel) {
      check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(bins())));
      launch(kernel, {dim3(static_cast<unsigned>(lanes)), kSortBlock, bins()}, stream_, digits_, first,
             references_.data(), counts_.data(), totals.data());
    };
    switch (digits_.type) {
      case ColumnType::kInt8:
        run(sort_kernel<int8_t>);
        break;
      case ColumnType::kInt16:
        run(sort_kernel<int16_t>);
        break;
      case ColumnType::kInt32:
        run(sort_kernel<int32_t>);
        break;
      case ColumnType::kInt64:
        run(sort_kernel<int64_t>);
        break;
      case ColumnType::kField:
        run(sort_kernel<Fr>);
        break;
    }
    totals_.resize(lanes * kRounds);
    copy_to_host(totals_.data(), totals.data(), totals_.size() * sizeof(uint32_t), stream_);
  }

  size_t total(size_t lane, int round) const { return totals_[lane * kRounds + static_cast<size_t>(round)]; }

  Array<uint32_t> offsets(size_t lanes, int round) {
    Array<uint32_t> out(lanes * buckets_, stream_);
    check(cudaFuncSetAttribute(offsets_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(bins())));
    launch(offsets_kernel, {dim3(static_cast<unsigned>(lanes)), kSortBlock, bins()}, stream_, counts_.data(),
           buckets_, round, out.data());
    return out;
  }

  void add_rounds(size_t lanes) {
    size_t all = 0;
    for (size_t l = 0; l < lanes; ++l) all += total(l, 0) - total(l, kRounds - 1);
    pool_ = Array<Affine>(all, stream_);
    offsets_ = offsets(lanes, 0);
    size_t done = 0;
    Array<Fq> prefix;
    for (int round = 0; done < all; ++round) {
      std::vector<uint32_t> starts(lanes);
      size_t count = 0;
      for (size_t l = 0; l < lanes; ++l) {
        starts[l] = static_cast<uint32_t>(count);
        count += total(l, round) - total(l, round + 1);
      }
      if (round == 0) prefix = Array<Fq>(count, stream_);  // no later round has more
      const Array<uint32_t> first_pair(lanes, stream_);
      copy_to_device(first_pair.data(), starts.data(), lanes * sizeof(uint32_t), stream_);
      add_round(lanes, round, first_pair.data(), count, done, prefix.data());
      done += count;
    }
  }

  void add_round(size_t lanes, int round, const uint32_t* first_pair, size_t count, size_t done, Fq* prefix) {
    Array<uint32_t> next_offsets = offsets(lanes, round + 1);
    Array<Reference> next(lanes * digits_.width, stream_);
    const Array<Pair> pairs(count, stream_);
    const PairRound r{
        counts_.data(), offsets_.data(), next_offsets.data(), first_pair, references_.data(),
        next.data(),    pairs.data(),    digits_.width,       buckets_,   static_cast<uint32_t>(done),
        round};
    // About as many threads as a bucket of this round has additions, and enough blocks.
    const size_t usual = count / (lanes * buckets_) + 1;
    const unsigned group = usual > 64 ? 32 : usual > 8 ? 8 : 4;
    const unsigned slices = std::clamp(buckets_ / (kBlock / group), 1u, 64u);
    launch(pairs_kernel, {dim3(static_cast<unsigned>(lanes), slices), kBlock}, stream_, r, group);
    add_pairs(PairSource{places(), pairs.data(), pool_.data() + done}, count, prefix, stream_);
    offsets_ = std::move(next_offsets);
    references_ = std::move(next);
  }

  Places places() const { return {points_, pool_.data()}; }

  void reduce(size_t lanes, Xyzz* sums) {
    const size_t total = lanes * buckets_;
    const Array<Affine> dense(total, stream_);
    launch(gather_kernel, looping(gather_kernel, total), stream_, counts_.data(), offsets_.data(),
           references_.data(), digits_.width, buckets_, total, places(), dense.data());
    if (buckets_ < kGridFrom) {
      weigh(Weighted<Affine>{dense.data(), buckets_, 1, 0}, Weighted<Affine>{}, lanes, sums);
      return;
    }
    const int row_bits = (digits_.windows.bits - 1) / 2;
    const uint32_t width = buckets_ >> row_bits;  // entries of a row
    const uint32_t rows = 1u << row_bits;
    const Array<Fq> prefix(total / 2, stream_);
    const Array<Xyzz> row_sums = axis_sums(dense.data(), lanes * rows, width, 1, prefix.data());
    const Array<Xyzz> column_sums = axis_sums(dense.data(), lanes, rows, width, prefix.data());
    const int doublings = digits_.windows.bits - 1 - row_bits;
    weigh(Weighted<Xyzz>{row_sums.data(), rows, 0, doublings},
          Weighted<Xyzz>{column_sums.data(), width, 1, 0}, lanes, sums);
  }

  // Few members share the doublings among many entries; with few lanes, many members are done sooner.
  template <class Point>
  void weigh(const Weighted<Point>& rows, const Weighted<Point>& columns, size_t lanes, Xyzz* sums) {
    const bool many = lanes >= static_cast<size_t>(multiprocessors()) * 8;
    const unsigned members = many ? 8 : kWeightBlock;
    LaneWork work;
    work.add(rows, members);
    work.add(columns, members);
    count_group_adds(lanes * (work.adds + work.doublings + members));  // `members`: to join their shares
    count_doublings(lanes * work.doublings);
    launch(weigh_kernel<Point>, {dim3(blocks_for(lanes, kWeightBlock / members)), kWeightBlock}, stream_,
           rows, columns, members, lanes, sums);
  }

  // in[outer][length][inner] -> [outer][inner].
  Array<Xyzz> axis_sums(const Affine* in, size_t outer, size_t length, size_t inner, Fq* prefix) {
    Array<Affine> held;
    while (length > kShortSum) {
      const size_t half = length / 2;
      Array<Affine> next(outer * half * inner, stream_);
      add_pairs(HalvesSource{in, next.data(), half, inner}, outer * half * inner, prefix, stream_);
      held = std::move(next);
      in = held.data();
      length = half;
    }
    Array<Xyzz> out(outer * inner, stream_);
    count_group_adds(outer * length * inner);
    launch(short_sums_kernel, {dim3(blocks_for(outer * inner, 128)), 128}, stream_, in, length, inner,
           outer * inner, out.data());
    return out;
  }

  const Affine* points_;
  DigitView digits_;
  uint32_t buckets_;
  Stream stream_;
  std::vector<uint32_t> totals_;
  Array<Reference> references_;  // [lane][width], of the current round
  Array<uint32_t> counts_, offsets_;
  Array<Affine> pool_;
};

}  // namespace

Windows Windows::choose(size_t width, int magnitude_bits) {
  constexpr double kBucketCost = 2.6;  // of a bucket, in additions
  constexpr double kLaneCost = 2000;
  Windows best;
  double least = 0;
  int most = 16;
  while ((sizeof(uint32_t) << (most - 1)) + 4096 > shared_memory_limit()) --most;
  for (int bits = 4; bits <= most; ++bits) {
    const int count = (magnitude_bits + bits - 1) / bits;
    const double cost = count * (static_cast<double>(width) + kBucketCost * (1u << (bits - 1)) + kLaneCost);
    if (least == 0 || cost < least) {
      least = cost;
      best.bits = bits;
      best.count = std::max(1, count);
    }
  }
  return best;
}

void bucket_sums(const Affine* points, const DigitView& digits, size_t n, Xyzz* sums, Stream stream) {
  const size_t lanes = n * digits.windows.count;
  const size_t per_lane = std::max<size_t>(digits.width, digits.windows.buckets());
  const size_t at_once = std::clamp<size_t>(entries_at_once() / per_lane, 1, std::max<size_t>(1, lanes));
  const Array<Xyzz> lane_sums(lanes, stream);
  for (size_t first = 0; first < lanes; first += at_once) {
    Pass(points, digits, stream).sum(first, std::min(at_once, lanes - first), lane_sums.data() + first);
  }
  const uint64_t doublings = n * static_cast<uint64_t>(digits.windows.count - 1) * digits.windows.bits;
  count_group_adds(lanes + doublings);
  count_doublings(doublings);
  if (n > kJoinOnHost || digits.windows.count == 1) {
    launch(join_windows_kernel, {dim3(blocks_for(n, 128)), 128}, stream, lane_sums.data(), n, digits.windows,
           sums);
    return;
  }
  std::vector<Xyzz> host(lanes), joined(n, Xyzz::infinity());
  copy_to_host(host.data(), lane_sums.data(), lanes * sizeof(Xyzz), stream);
  for (size_t i = 0; i < n; ++i) {
    for (int t = digits.windows.count; t-- > 0;) {
      joined[i] = add(dbl_times(joined[i], digits.windows.bits),
                      host[i * digits.windows.count + static_cast<size_t>(t)]);
    }
  }
  copy_to_device(sums, joined.data(), n * sizeof(Xyzz), stream);
}

void bias_scalars(const Fr* scalars, size_t n, const Windows& windows, BiasedScalar* out, uint8_t* negative,
                  Stream stream) {
  launch(bias_kernel, looping(bias_kernel, n), stream, scalars, n, windows, out, negative);
}

}  // namespace zkcore::cuda
