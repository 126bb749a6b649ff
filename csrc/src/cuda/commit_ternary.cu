// Row commitments of ternary rows: tables of the signed subset sums of a few generators, made in batches of
// affine additions, and for each row one of them a group. A thread takes one row and a segment of the groups;
// threads of a block take the same groups, whose tables then lie in the cache.
#include <algorithm>

#include "cuda/batch_affine.cuh"
#include "cuda/ternary.cuh"

namespace zkcore::cuda {
namespace {

constexpr size_t kStrip = size_t{15} << 12;  // columns whose tables exist at a time
constexpr unsigned kRows = 128;              // threads of a block

// One step of the tables: from the sums of i generators of each group, v = 1 .. done, to those of i + 1.
struct Step {
  const Affine* generators;
  Affine* sums;  // [group][half], then one point at infinity
  size_t columns, groups, half;
  int g, i;
  uint32_t done;

  __device__ __forceinline__ const Affine* generator(size_t t) const {
    const size_t j = t * g + i;
    return j < columns ? generators + j : sums + groups * half;
  }
  __device__ __forceinline__ size_t value(size_t x) const { return x % (2 * done) / 2 + 1; }
  __device__ __forceinline__ Operand a(size_t x) const { return {generator(x / (2 * done)), false}; }
  __device__ __forceinline__ Operand b(size_t x) const {
    return {sums + x / (2 * done) * half + value(x) - 1, x % 2 == 1};
  }
  __device__ __forceinline__ Affine* out(size_t x) const {
    const size_t power = 2 * done + 1, v = value(x);
    return sums + x / (2 * done) * half + (x % 2 ? power - v : power + v) - 1;
  }
};

__global__ void __launch_bounds__(kBlock) place_kernel(Step s) {
  for (size_t t = thread_index(); t < s.groups; t += thread_count()) {
    store(s.sums + t * s.half + 2 * s.done, load(s.generator(t)));
  }
}

void make_tables(Step s, Fq* prefix, Stream stream) {
  check(cudaMemsetAsync(s.sums, 0, (s.groups * s.half + 1) * sizeof(Affine), stream));
  for (s.i = 0, s.done = 0; s.i < s.g; ++s.i, s.done = 3 * s.done + 1) {
    launch(place_kernel, looping(place_kernel, s.groups), stream, s);
    if (s.done) add_pairs(s, s.groups * 2 * s.done, prefix, stream);
  }
}

struct Rows {
  const int8_t* entries;
  size_t n, width;
  size_t first, columns;  // of the strip
  int g;
  size_t half, groups, segment;
};

__global__ void __launch_bounds__(kRows) rows_kernel(Rows r, const Affine* sums, Xyzz* partial) {
  const size_t i = thread_index();
  if (i >= r.n) return;
  const int8_t* row = r.entries + i * r.width + r.first;
  const size_t begin = blockIdx.y * r.segment;
  const size_t end = begin + r.segment < r.groups ? begin + r.segment : r.groups;
  Xyzz sum = Xyzz::infinity();
  for (size_t t = begin; t < end; ++t) {
    const size_t left = r.columns - t * r.g;
    const int count = left < static_cast<size_t>(r.g) ? static_cast<int>(left) : r.g;
    const int value = group_value(row + t * r.g, 1, count);
    if (value == 0) continue;
    Affine p = load(sums + t * r.half + (value < 0 ? -value : value) - 1);
    if (value < 0) p.y = -p.y;
    add_to(sum, p);
  }
  store(partial + blockIdx.y * r.n + i, sum);
}

// totals[i] += sum over segments of partial[segment][i].
__global__ void __launch_bounds__(kRows)
    join_kernel(const Xyzz* partial, size_t segments, size_t n, Xyzz* totals) {
  const size_t i = thread_index();
  if (i >= n) return;
  Xyzz sum = load(totals + i);
  for (size_t s = 0; s < segments; ++s) add_to(sum, load(partial + s * n + i));
  store(totals + i, sum);
}

// out[i] += totals[i].
__global__ void __launch_bounds__(kRows) finish_kernel(const Xyzz* totals, size_t n, Affine* out) {
  const size_t i = thread_index();
  if (i >= n) return;
  Xyzz sum = load(totals + i);
  add_to(sum, load(out + i));
  store(out + i, to_affine(sum));
}

}  // namespace

void commit_ternary(const Affine* generators, const int8_t* rows, size_t n, size_t width, const Fr* blinds,
                    const Affine* blinder, Affine* out, Stream stream) {
  // Rows of no columns: the blinds alone.
  commit_rows(generators, {ColumnType::kInt8, rows, 0}, n, 0, blinds, blinder, out, stream);
  if (n == 0 || width == 0) return;
  const int g = ternary_group(n, 100);
  const size_t half = ternary_half(g);
  const size_t most = (std::min(width, kStrip) + g - 1) / g;
  const unsigned blocks = blocks_for(n, kRows);
  const size_t segments = ternary_segments(static_cast<size_t>(blocks) * kRows, most);
  const Array<Affine> sums(most * half + 1, stream);
  const Array<Fq> prefix(std::max<size_t>(1, most * 2 * half), stream);
  const Array<Xyzz> partial(segments * n, stream), totals(n, stream);
  check(cudaMemsetAsync(totals.data(), 0, n * sizeof(Xyzz), stream));
  for (size_t first = 0; first < width; first += kStrip) {
    const size_t columns = std::min(kStrip, width - first);
    const size_t groups = (columns + g - 1) / g;
    make_tables({generators + first, sums.data(), columns, groups, half, g, 0, 0}, prefix.data(), stream);
    const Rows r{rows, n, width, first, columns, g, half, groups, (groups + segments - 1) / segments};
    launch(rows_kernel, {dim3(blocks, static_cast<unsigned>(segments)), kRows}, stream, r, sums.data(),
           partial.data());
    launch(join_kernel, {dim3(blocks), kRows}, stream, partial.data(), segments, n, totals.data());
  }
  launch(finish_kernel, {dim3(blocks), kRows}, stream, totals.data(), n, out);
}

}  // namespace zkcore::cuda
