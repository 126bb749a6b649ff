// Row folds: column [outer, k, inner] with weights [k] gives [outer, inner].
//
// A grid covers (outputs) x (segments of k); segments leave partial sums [segment][output], which a second
// kernel adds up. Integers up to 32 bits are made unsigned by their bias, so bias * (sum of weights) is taken
// away once at the end. Shapes that fill tensor cores go to fold_bytes.cu.
#include "cuda/fold_bytes.cuh"
#include "cuda/sums.cuh"
#include "zkcore/field_counters.hpp"

namespace zkcore::cuda {
namespace {

// ---- sums of entry * weight

template <class T>
class EntrySum {
 public:
  static constexpr bool kBiased = true;
  __device__ EntrySum() : sum_(Fr::zero()) {}
  __device__ __forceinline__ void add(T x, const Fr& w) { sum_.add(shifted(x), w); }
  __device__ Fr total() const { return sum_.lower() * two_to<64>(); }

 private:
  SmallSum sum_;
};

template <>
class EntrySum<int64_t> {
 public:
  static constexpr bool kBiased = false;
  __device__ EntrySum() {}
  __device__ __forceinline__ void add(int64_t x, const Fr& w) { add_signed(sum_, x, w); }
  __device__ Fr total() const { return sum_.reduce(); }

 private:
  WideAcc<Fr> sum_;
};

template <>
class EntrySum<Fr> {
 public:
  static constexpr bool kBiased = false;
  __device__ EntrySum() {}
  __device__ __forceinline__ void add(const Fr& x, const Fr& w) { sum_.add(x, w); }
  __device__ Fr total() const { return sum_.total(); }

 private:
  ProductSum sum_;
};

template <class T>
__device__ __forceinline__ T read(const T* from) {
  return *from;
}
__device__ __forceinline__ Fr read(const Fr* from) { return load_once(from); }

struct FoldShape {
  size_t outer, k, inner;
  size_t segment;  // entries of k that one block takes
};

// ---- kernels

// One thread for each output.
template <class T>
__global__ void __launch_bounds__(kBlock)
    columns_kernel(const T* data, const Fr* weights, FoldShape s, Fr* partial) {
  const size_t outputs = s.outer * s.inner;
  const size_t j = thread_index();
  if (j >= outputs) return;
  const size_t begin = blockIdx.y * s.segment;
  const size_t end = begin + s.segment < s.k ? begin + s.segment : s.k;
  const T* at = data + (j / s.inner * s.k + begin) * s.inner + j % s.inner;
  EntrySum<T> sum;
#pragma unroll 2
  for (size_t i = begin; i < end; ++i, at += s.inner) sum.add(read(at), load(weights + i));
  store(partial + blockIdx.y * outputs + j, sum.total());
}

// inner = 1: one block for each output.
template <class T>
__global__ void __launch_bounds__(kBlock)
    rows_kernel(const T* data, const Fr* weights, FoldShape s, Fr* partial) {
  const size_t begin = blockIdx.y * s.segment;
  const size_t end = begin + s.segment < s.k ? begin + s.segment : s.k;
  for (size_t o = blockIdx.x; o < s.outer; o += gridDim.x) {
    const T* row = data + o * s.k;
    EntrySum<T> sum;
#pragma unroll 2
    for (size_t i = begin + threadIdx.x; i < end; i += kBlock) sum.add(read(row + i), load(weights + i));
    const Fr own = sum.total();
    const Fr total = block_sum<1>(&own);
    if (threadIdx.x == 0) store(partial + blockIdx.y * s.outer + o, total);
  }
}

// out[j] = sum over segments of partial[segment][j], plus scale * sum of weights.
__global__ void __launch_bounds__(kBlock)
    join_kernel(const Fr* partial, size_t segments, size_t outputs, const Fr* weight_sum, Fr scale, Fr* out) {
  const size_t j = thread_index();
  if (j >= outputs) return;
  Fr total = weight_sum ? load(weight_sum) * scale : Fr::zero();
  for (size_t s = 0; s < segments; ++s) total += load(partial + s * outputs + j);
  store(out + j, total);
}

__global__ void __launch_bounds__(kBlock) sum_kernel(const Fr* values, size_t n, Report report) {
  Fr sum = Fr::zero();
  for (size_t i = thread_index(); i < n; i += thread_count()) sum += load(values + i);
  grid_sum<1>(&sum, report);
}

constexpr size_t kMinSegment = 256;
constexpr size_t kBriefRow =
    2048;  // to launch the sum of a row's segments takes longer than a row of so many
constexpr unsigned kMaxRowBlocks = 1u << 30;

size_t segments_for(size_t blocks, size_t k) {
  const size_t wanted = static_cast<size_t>(multiprocessors()) * 8;
  const size_t most = std::max<size_t>(1, k / kMinSegment);
  return std::clamp<size_t>(wanted / std::max<size_t>(1, blocks), 1, std::min<size_t>(most, 4096));
}

template <class T>
void fold(const T* data, FoldShape s, const Fr* weights, Fr* out, Stream stream) {
  const size_t outputs = s.outer * s.inner;
  const bool rows = s.inner == 1 && s.k >= kMinSegment;
  const size_t blocks = rows ? s.outer : blocks_for(outputs);
  const bool brief = rows && s.k <= kBriefRow;
  const size_t segments = brief ? 1 : segments_for(blocks, s.k);
  s.segment = (s.k + segments - 1) / segments;
  const bool whole = segments == 1 && !EntrySum<T>::kBiased;
  const Array<Fr> partial = whole ? Array<Fr>() : Array<Fr>(segments * outputs, stream);
  const dim3 grid(static_cast<unsigned>(std::min<size_t>(blocks, kMaxRowBlocks)),
                  static_cast<unsigned>(segments));
  launch(rows ? rows_kernel<T> : columns_kernel<T>, {grid, kBlock}, stream, data, weights, s,
         whole ? out : partial.data());
  if (whole) return;
  Array<Fr> weight_sum;
  Fr scale = Fr::zero();
  if constexpr (EntrySum<T>::kBiased) {
    weight_sum = Array<Fr>(1, stream);
    scale = -two_to<kBiasBits<T>>();
    launch(sum_kernel, looping(sum_kernel, s.k), stream, weights, s.k, Reports(stream).to(weight_sum.data()));
  }
  launch(join_kernel, {dim3(blocks_for(outputs)), kBlock}, stream, partial.data(), segments, outputs,
         weight_sum.data(), scale, out);
}

}  // namespace

void contract(const Column& column, size_t outer, size_t k, size_t inner, const Fr* weights, Fr* out,
              Stream stream) {
  if (outer * inner == 0) return;
  if (k == 0) {
    check(cudaMemsetAsync(out, 0, outer * inner * sizeof(Fr), stream));
    return;
  }
  column.type == ColumnType::kField ? count_field_mults(column.size) : count_small_mults(column.size);
  if (fold_bytes(column, outer, k, inner, weights, out, stream)) return;
  visit(column, [&](auto* data) { fold(data, {outer, k, inner, k}, weights, out, stream); });
}

void contract_all(const Column& column, const std::vector<Fold>& folds, Fr* out, Stream stream) {
  Column left = column;
  Array<Fr> held;
  for (size_t i = 0; i < folds.size(); ++i) {
    const auto& [outer, k, inner, weights] = folds[i];
    Array<Fr> made = i + 1 == folds.size() ? Array<Fr>() : Array<Fr>(outer * inner, stream);
    contract(left, outer, k, inner, weights, made.data() ? made.data() : out, stream);
    held = std::move(made);
    left = {ColumnType::kField, held.data(), outer * inner};
  }
}

Fr dot(const Column& a, const Column& b, Stream stream) {
  if (a.type == ColumnType::kField && b.type != ColumnType::kField) return dot(b, a, stream);
  if (a.size == 0) return Fr::zero();
  Array<Fr> converted;
  const Fr* weights = static_cast<const Fr*>(b.data);
  if (b.type != ColumnType::kField) {
    converted = Array<Fr>(b.size, stream);
    from_ints(b, converted.data(), stream);
    weights = converted.data();
  }
  const Array<Fr> out(1, stream);
  contract(a, 1, a.size, 1, weights, out.data(), stream);
  Fr total;
  copy_to_host(&total, out.data(), sizeof total, stream);
  return total;
}

}  // namespace zkcore::cuda
