// Row commitments of ternary rows: for each group of entries one signed subset sum of the generators, made
// beforehand. A row's sums that are not zero are listed, the lists of many rows side by side ([place][row],
// so that threads beside each other read the same few sums), and added: halves of all lists to each other in
// batches of affine additions while the batches are large, the rest thread by thread.
#include <algorithm>
#include <vector>

#include "cuda/batch_affine.cuh"
#include "cuda/join.cuh"
#include "zkcore/ternary_cuda.hpp"

namespace zkcore::cuda {
namespace {

constexpr size_t kAtOnce = size_t{1} << 25;  // references of one pass
constexpr size_t kWorthwhile = 24;           // additions of a thread that are worth an inversion
constexpr unsigned kRows = 128;              // threads of a block that sums

// sum_i 3^i entries[i] for i < count.
__device__ __forceinline__ int group_value(const int8_t* entries, int count) {
  int value = 0;
#pragma unroll
  for (int i = kMostTrits; i-- > 0;) {
    if (i < count) value = 3 * value + entries[i];
  }
  return value;
}

// A subset sum: its place, 0 being infinity, and a sign.
using Reference = uint32_t;
constexpr Reference kNegative = 1u << 31;

struct Rows {
  const int8_t* entries;
  size_t n, width, groups;
  int g;
  uint32_t half;

  __device__ __forceinline__ Reference reference(size_t row, size_t t) const {
    if (t >= groups) return 0;
    const size_t left = width - t * g;
    const int count = left < static_cast<size_t>(g) ? static_cast<int>(left) : g;
    const int value = group_value(entries + row * width + t * g, count);
    if (value == 0) return 0;
    const auto before = static_cast<Reference>(t * half);
    return value < 0 ? kNegative | (before - value) : before + value;
  }
};

// counts[row] += the groups of a slice that are not zero.
__global__ void __launch_bounds__(kBlock) count_kernel(Rows r, uint32_t* counts) {
  const size_t row = blockIdx.x, step = static_cast<size_t>(gridDim.y) * kBlock;
  int own = 0;
  for (size_t first = blockIdx.y * static_cast<size_t>(kBlock); first < r.groups; first += step) {
    own += __syncthreads_count(r.reference(row, first + threadIdx.x) != 0);
  }
  if (threadIdx.x == 0) atomicAdd(counts + row, static_cast<uint32_t>(own));
}

// list[place][row]: what is not zero, in any order.
__global__ void __launch_bounds__(kBlock) list_kernel(Rows r, uint32_t* cursors, Reference* list) {
  const size_t row = blockIdx.x, step = static_cast<size_t>(gridDim.y) * kBlock;
  const unsigned lane = threadIdx.x % 32;
  for (size_t first = blockIdx.y * static_cast<size_t>(kBlock); first < r.groups; first += step) {
    const Reference own = r.reference(row, first + threadIdx.x);
    const unsigned some = __ballot_sync(0xffffffffu, own != 0);
    uint32_t at = 0;
    if (lane == 0) at = atomicAdd(cursors + row, static_cast<uint32_t>(__popc(some)));
    at = __shfl_sync(0xffffffffu, at, 0) + static_cast<uint32_t>(__popc(some & ((1u << lane) - 1)));
    if (own != 0) list[static_cast<size_t>(at) * r.n + row] = own;
  }
}

struct Listed {
  const Reference* list;
  const Affine* sums;
  __device__ __forceinline__ Operand operator()(size_t i) const {
    const Reference r = list[i];
    return {sums + (r & ~kNegative), (r & kNegative) != 0};
  }
};

struct Added {
  const Affine* points;
  __device__ __forceinline__ Operand operator()(size_t i) const { return {points + i, false}; }
};

// Places p and p + half of every row.
template <class Points>
struct Halves {
  Points points;
  size_t half;  // places * rows
  Affine* sums;
  __device__ __forceinline__ Operand a(size_t i) const { return points(i); }
  __device__ __forceinline__ Operand b(size_t i) const { return points(i + half); }
  __device__ __forceinline__ Affine* out(size_t i) const { return sums + i; }
};

// partial[segment][row] = the sum of every `segments`-th place.
template <class Points>
__global__ void __launch_bounds__(kRows)
    sum_kernel(Points points, size_t total, size_t threads, Xyzz* partial) {
  const size_t x = thread_index();
  if (x >= threads) return;
  Xyzz sum = Xyzz::infinity();
  for (size_t i = x; i < total; i += threads) {
    const Operand p = points(i);
    add_to(sum, Affine{p.x(), p.y()});
  }
  store(partial + x, sum);
}

// out[row] += sum over segments of partial[segment][row]; `members` threads a row.
__global__ void __launch_bounds__(kRows)
    join_kernel(const Xyzz* partial, size_t segments, size_t rows, unsigned members, Affine* out) {
  const size_t row = blockIdx.x * static_cast<size_t>(kRows / members) + threadIdx.x / members;
  const unsigned member = threadIdx.x % members;
  Xyzz sum = Xyzz::infinity();
  if (row < rows) {
    if (member == 0) sum = Xyzz::from(load(out + row));
    for (size_t s = member; s < segments; s += members) add_to(sum, load(partial + s * rows + row));
  }
  join_members<kRows>(sum, members);
  if (member == 0 && row < rows) store(out + row, to_affine(sum));
}

Shape by_row(const Rows& r) {
  const size_t slices = std::clamp<size_t>(r.groups / (8 * kBlock), 1, 64);
  return {dim3(static_cast<unsigned>(r.n), static_cast<unsigned>(slices)), kBlock};
}

// Lists of `places` places for `rows` rows, added up in place of what is left of them.
class Lists {
 public:
  Lists(size_t places, size_t rows, Affine* out, Stream stream)
      : places_(places), rows_(rows), out_(out), stream_(stream) {}

  template <class Points>
  void add(Points points) {
    const size_t least = kWorthwhile * kRows * resident_blocks(add_pairs_kernel<Halves<Points>>, kRows);
    if (places_ % 2 != 0 || places_ / 2 * rows_ < least) return finish(points);
    places_ /= 2;
    const size_t count = places_ * rows_;
    if (!prefix_) prefix_ = Array<Fq>(count, stream_);  // no later round has more
    Array<Affine> next(count, stream_);
    add_pairs(Halves<Points>{points, count, next.data()}, count, prefix_.data(), stream_);
    held_ = std::move(next);
    add(Added{held_.data()});
  }

 private:
  template <class Points>
  void finish(Points points) {
    const size_t wanted = static_cast<size_t>(multiprocessors()) * 512 / rows_;
    const size_t segments = std::clamp<size_t>(wanted, 1, std::max<size_t>(1, places_ / 4));
    const size_t threads = segments * rows_;
    const Array<Xyzz> partial(threads, stream_);
    launch(sum_kernel<Points>, {dim3(blocks_for(threads, kRows)), kRows}, stream_, points, places_ * rows_,
           threads, partial.data());
    count_group_adds((places_ + segments) * rows_);
    unsigned members = 1;
    while (members < kRows && 4 * members <= segments) members *= 2;
    launch(join_kernel, {dim3(blocks_for(rows_, kRows / members)), kRows}, stream_, partial.data(), segments,
           rows_, members, out_);
  }

  size_t places_, rows_;
  Affine* out_;
  Stream stream_;
  Array<Fq> prefix_;
  Array<Affine> held_;
};

// Places for lists of up to `longest`: even for as many rounds as are worth it.
size_t places_for(size_t longest) {
  size_t step = 1;
  while (step < 64 && 64 * step <= longest) step *= 2;
  return (longest + step - 1) / step * step;
}

}  // namespace

void commit_ternary(const SubsetSums& sums, const int8_t* entries, size_t n, size_t width, const Fr* blinds,
                    const Affine* blinder, Affine* out, Stream stream) {
  // Rows of no columns: the blinds alone.
  commit_rows(nullptr, {ColumnType::kInt8, entries, 0}, n, 0, blinds, blinder, out, stream);
  if (n == 0 || width == 0) return;
  const size_t groups = (width + sums.g - 1) / sums.g;
  const Rows all{entries, n, width, groups, sums.g, ternary_half(sums.g)};
  const Array<uint32_t> counts(n, stream);
  check(cudaMemsetAsync(counts.data(), 0, n * sizeof(uint32_t), stream));
  launch(count_kernel, by_row(all), stream, all, counts.data());
  std::vector<uint32_t> known(n);
  copy_to_host(known.data(), counts.data(), n * sizeof(uint32_t), stream);
  check(cudaMemsetAsync(counts.data(), 0, n * sizeof(uint32_t), stream));
  const size_t at_once = std::clamp<size_t>(kAtOnce / groups, 1, n);
  for (size_t first = 0; first < n; first += at_once) {
    Rows some = all;
    some.entries = entries + first * width;
    some.n = std::min(at_once, n - first);
    const size_t longest = *std::max_element(known.begin() + first, known.begin() + first + some.n);
    if (longest == 0) continue;
    const size_t places = places_for(longest);
    const Array<Reference> list(places * some.n, stream);
    check(cudaMemsetAsync(list.data(), 0, places * some.n * sizeof(Reference), stream));
    launch(list_kernel, by_row(some), stream, some, counts.data() + first, list.data());
    Lists(places, some.n, out + first, stream).add(Listed{list.data(), sums.points});
  }
}

}  // namespace zkcore::cuda
