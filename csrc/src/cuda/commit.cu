// Row commitments: bucket sums of the rows, then the blinds by tables of the blinder's multiples.
#include "cuda/buckets.cuh"
#include "cuda/points.cuh"
#include "zkcore/group_counters.hpp"

namespace zkcore::cuda {
namespace {

// As in FixedBase: table[t][d - 1] = d * 2^(8 t) * base.
constexpr int kBlindWindows = 32;
constexpr int kBlindMultiples = 128;

// out[i] = sums[i] + blinds[i] * base.
__global__ void __launch_bounds__(128)
    blind_kernel(const Xyzz* sums, const Fr* blinds, const Affine* table, size_t n, Affine* out) {
  const size_t i = thread_index();
  if (i >= n) return;
  Xyzz sum = load(sums + i);
  const Limbs<4> scalar = load(blinds + i).to_limbs();
  int carry = 0;
  for (int t = 0; t < kBlindWindows; ++t) {
    int digit = static_cast<int>(scalar.v[t / 8] >> (8 * (t % 8)) & 255) + carry;
    carry = digit > kBlindMultiples;
    if (carry) digit -= 256;
    if (digit == 0) continue;
    Affine p = load(table + t * kBlindMultiples + (digit < 0 ? -digit : digit) - 1);
    if (digit < 0) p.y = -p.y;
    add_to(sum, p);
  }
  store(out + i, to_affine(sum));
}

// Bits of the largest magnitude, as the number of leading zeros it leaves.
template <class T>
__global__ void __launch_bounds__(kBlock)
    extent_kernel(const T* values, size_t n, unsigned long long* largest) {
  unsigned long long most = 0;
  for (size_t i = thread_index(); i < n; i += thread_count()) {
    const int64_t x = values[i];
    const uint64_t magnitude = x < 0 ? ~static_cast<uint64_t>(x) + 1 : static_cast<uint64_t>(x);
    most = magnitude > most ? magnitude : most;
  }
  for (int d = 16; d > 0; d /= 2) {
    const unsigned long long other = __shfl_xor_sync(0xffffffffu, most, d);
    most = other > most ? other : most;
  }
  if (threadIdx.x % 32 == 0) atomicMax(largest, most);
}

// Magnitudes are at most 2^(bits - 1). Narrow types are taken at their word.
int magnitude_bits(const Column& rows, Stream stream) {
  if (rows.type == ColumnType::kInt8) return 8;
  if (rows.type == ColumnType::kInt16) return 16;
  const Array<unsigned long long> largest(1, stream);
  check(cudaMemsetAsync(largest.data(), 0, sizeof(unsigned long long), stream));
  const auto run = [&](auto* data) {
    using T = std::decay_t<decltype(*data)>;
    launch(extent_kernel<T>, looping(extent_kernel<T>, rows.size), stream, data, rows.size, largest.data());
  };
  rows.type == ColumnType::kInt32 ? run(static_cast<const int32_t*>(rows.data))
                                  : run(static_cast<const int64_t*>(rows.data));
  unsigned long long most = 0;
  copy_to_host(&most, largest.data(), sizeof most, stream);
  int bits = 1;
  while (bits < 64 && (uint64_t{1} << (bits - 1)) < most) ++bits;
  return bits;
}

void sum_any_rows(const Affine* points, const Column& rows, size_t n, size_t width, Xyzz* sums,
                  Stream stream) {
  if (rows.type != ColumnType::kField) {
    return sum_rows(points, rows, n, width, magnitude_bits(rows, stream), sums, stream);
  }
  const Windows windows = Windows::choose(width, Fr::kBits);
  const Array<BiasedScalar> biased(n * width, stream);
  const Array<uint8_t> negative(n * width, stream);
  bias_scalars(static_cast<const Fr*>(rows.data), n * width, windows, biased.data(), negative.data(), stream);
  bucket_sums(points, {rows.type, biased.data(), negative.data(), width, windows}, n, sums, stream);
}

__global__ void affine_kernel(const Xyzz* sum, Affine* out) { store(out, to_affine(load(sum))); }

}  // namespace

void sum_rows(const Affine* generators, const Column& rows, size_t n, size_t width, int magnitude_bits,
              Xyzz* sums, Stream stream) {
  const Windows windows = Windows::choose(width, magnitude_bits);
  bucket_sums(generators, {rows.type, rows.data, nullptr, width, windows}, n, sums, stream);
}

void commit_rows(const Affine* generators, const Column& rows, size_t n, size_t width, const Fr* blinds,
                 const Affine* blinder, Affine* out, Stream stream) {
  if (n == 0) return;
  const Array<Xyzz> sums(n, stream);
  if (width > 0) {
    sum_any_rows(generators, rows, n, width, sums.data(), stream);
  } else {
    check(cudaMemsetAsync(sums.data(), 0, n * sizeof(Xyzz), stream));
  }
  count_group_adds(n * kBlindWindows);
  launch(blind_kernel, {dim3(blocks_for(n, 128)), 128}, stream, sums.data(), blinds, blinder, n, out);
}

void msm(const Affine* points, const Fr* scalars, size_t n, Affine* out, Stream stream) {
  if (n == 0) {
    check(cudaMemsetAsync(out, 0, sizeof(Affine), stream));
    return;
  }
  const Array<Xyzz> sum(1, stream);
  sum_any_rows(points, field_column(scalars, n), 1, n, sum.data(), stream);
  launch(affine_kernel, {dim3(1), 1}, stream, sum.data(), out);
}

}  // namespace zkcore::cuda
