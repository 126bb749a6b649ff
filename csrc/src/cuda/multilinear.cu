// Verbs on whole columns, entry by entry. Field arrays are [n, 4] 64-bit limbs, integers are read as they
// are.
#include "cuda/inverse.cuh"
#include "cuda/sums.cuh"
#include "zkcore/field_counters.hpp"

namespace zkcore::cuda {
namespace {

// out[i] = values[i].
template <class T>
__global__ void __launch_bounds__(kBlock) convert_kernel(const T* values, size_t n, Fr* out) {
  for (size_t i = thread_index(); i < n; i += thread_count()) store(out + i, entry(values[i]));
}

// ---- eq tables: the last variables by doubling in one block, the others as products of tables

constexpr int kMaxVariables = 40;
constexpr int kDoubled = 9;  // variables that one block takes

struct Point {
  Fr w[kMaxVariables];
  int count;
};

// out[2^count] = scale * eq(point, .): the last variable is the least significant bit.
__global__ void __launch_bounds__(kBlock) doubling_kernel(Point point, Fr scale, Fr* out) {
  __shared__ Fr table[1 << kDoubled];
  if (threadIdx.x == 0) table[0] = scale;
  for (int v = point.count; v-- > 0;) {
    const unsigned size = 1u << (point.count - 1 - v);
    __syncthreads();
    for (unsigned i = threadIdx.x; i < size; i += kBlock) {
      const Fr high = table[i] * point.w[v];
      table[size + i] = high;
      table[i] -= high;
    }
  }
  __syncthreads();
  for (unsigned i = threadIdx.x; i < 1u << point.count; i += kBlock) store(out + i, table[i]);
}

// out[h][l] = high[h] * low[l] for 2^kDoubled entries l: a thread keeps its l.
__global__ void __launch_bounds__(kBlock)
    outer_product_kernel(const Fr* high, size_t rows, const Fr* low, Fr* out) {
  constexpr size_t kColumns = size_t{1} << kDoubled;
  const size_t column = blockIdx.y * kBlock + threadIdx.x;
  const Fr l = load(low + column);
  for (size_t h = blockIdx.x; h < rows; h += gridDim.x) {
    store(out + h * kColumns + column, load(high + h) * l);
  }
}

Point make_point(std::span<const Fr> values) {
  Point point{};
  point.count = static_cast<int>(values.size());
  for (size_t i = 0; i < values.size(); ++i) point.w[i] = values[i];
  return point;
}

// ---- linear forms

// Terms of one launch; integer coefficients come lifted and their biases are in `start`.
constexpr int kTermsAtOnce = 24;
struct FormTerm {
  Fr coefficient;
  const void* data;
  ColumnType type;
  bool one;  // the coefficient is 1
};
struct Form {
  Fr start;  // lifted
  Fr constant;
  FormTerm terms[kTermsAtOnce];
  int integers;  // the first terms; the others are fields
  int count;
  bool onto;  // add to what `out` holds
};

__global__ void __launch_bounds__(kBlock) combine_kernel(Form form, size_t n, Fr* out) {
  for (size_t i = thread_index(); i < n; i += thread_count()) {
    Fr value = form.constant;
    if (form.integers > 0) {
      SmallSum sum(form.start);
#pragma unroll 1
      for (int t = 0; t < form.integers; ++t) {
        const FormTerm& term = form.terms[t];
        with_entry(term.type, term.data, i, [&](auto x) { sum.add(shifted(x), term.coefficient); });
      }
      value += sum.lower();
    }
#pragma unroll 1
    for (int t = form.integers; t < form.count; ++t) {
      const FormTerm& term = form.terms[t];
      const Fr x = load_once(static_cast<const Fr*>(term.data) + i);
      value += term.one ? x : term.coefficient * x;
    }
    if (form.onto) value += load(out + i);
    store(out + i, value);
  }
}

// 64-bit entries need a sum for themselves: their unsigned forms would add up to more than 2^64.
bool fits(const Form& form, const LinearTerm& term) {
  if (form.count == kTermsAtOnce) return false;
  if (term.second.type == ColumnType::kField || form.integers == 0) return true;
  return term.second.type != ColumnType::kInt64 && form.terms[0].type != ColumnType::kInt64;
}

void append(Form& form, const LinearTerm& term) {
  const auto& [coefficient, column] = term;
  FormTerm& slot = form.terms[form.count++];
  slot = {coefficient, column.data, column.type, coefficient == Fr::one()};
  if (column.type == ColumnType::kField) return;
  slot.coefficient = lift(coefficient);
  visit_integers(column, [&](auto* data) {
    form.start -= slot.coefficient * two_to<kBiasBits<std::decay_t<decltype(*data)>>>();
  });
  ++form.integers;
}

// ---- products

struct AnyColumn {
  ColumnType type;
  const void* data;
  __device__ Fr operator[](size_t i) const { return field_entry(type, data, i); }
};

__global__ void __launch_bounds__(kBlock) multiply_kernel(AnyColumn a, AnyColumn b, size_t n, Fr* out) {
  for (size_t i = thread_index(); i < n; i += thread_count()) store(out + i, a[i] * b[i]);
}

// ---- inverses by Montgomery's trick: a thread takes every thread_count()-th value

// out first holds the products of the nonzero values before each entry.
__global__ void __launch_bounds__(kBlock) inverse_kernel(const Fr* values, size_t n, Fr* out) {
  const size_t step = thread_count();
  size_t i = thread_index();
  if (i >= n) return;
  Fr product = Fr::one();
  for (; i < n; i += step) {
    const Fr value = load(values + i);
    store(out + i, product);
    if (!value.is_zero()) product *= value;
  }
  Fr suffix = inverse_in_step(product);
  do {
    i -= step;
    const Fr value = load(values + i);
    const bool zero = value.is_zero();
    store(out + i, zero ? Fr::zero() : load(out + i) * suffix);
    if (!zero) suffix *= value;
  } while (i >= step);
}

constexpr size_t kInverseChunk = 128;  // values that share an inversion, where there are enough

// ---- scatter: 32-bit limbs are added up in 64-bit cells, then reduced

constexpr int kCells = 8;

__device__ __forceinline__ void add_to_cells(unsigned long long* cells, const Fr& value) {
#pragma unroll
  for (int k = 0; k < kCells; ++k) {
    const uint32_t limb = static_cast<uint32_t>(value.v[k / 2] >> (32 * (k % 2)));
    if (limb) atomicAdd(cells + k, static_cast<unsigned long long>(limb));
  }
}

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

void from_ints(const Column& column, Fr* out, Stream stream) {
  visit_integers(column, [&](auto* data) {
    using T = std::decay_t<decltype(*data)>;
    launch(convert_kernel<T>, looping(convert_kernel<T>, column.size), stream, data, column.size, out);
  });
  count_small_mults(column.size);
}

void eq_table(std::span<const Fr> point, const Fr& scale, Fr* out, Stream stream) {
  if (point.size() <= kDoubled) {
    launch(doubling_kernel, {dim3(1), kBlock}, stream, make_point(point), scale, out);
    count_field_mults((size_t{1} << point.size()) - 1);
    return;
  }
  const size_t rows = size_t{1} << (point.size() - kDoubled);
  const Array<Fr> high(rows, stream), low(size_t{1} << kDoubled, stream);
  eq_table(point.first(point.size() - kDoubled), scale, high.data(), stream);
  eq_table(point.last(kDoubled), Fr::one(), low.data(), stream);
  const unsigned halves = (1u << kDoubled) / kBlock;
  const unsigned resident = resident_blocks(outer_product_kernel) / halves + 1;
  const unsigned grid = rows < resident ? static_cast<unsigned>(rows) : resident;
  launch(outer_product_kernel, {dim3(grid, halves), kBlock}, stream, high.data(), rows, low.data(), out);
  count_field_mults(rows << kDoubled);
}

void combine(std::span<const LinearTerm> terms, const Fr& constant, size_t length, Fr* out, Stream stream) {
  std::vector<const LinearTerm*> order;
  for (const bool fields : {false, true}) {
    for (const LinearTerm& term : terms) {
      if ((term.second.type == ColumnType::kField) == fields) order.push_back(&term);
    }
  }
  size_t next = 0;
  bool onto = false;
  do {
    Form form{};
    form.constant = onto ? Fr::zero() : constant;
    form.onto = onto;
    for (; next < order.size() && fits(form, *order[next]); ++next) {
      append(form, *order[next]);
      order[next]->second.type == ColumnType::kField
          ? count_field_mults(order[next]->first == Fr::one() ? 0 : length)
          : count_small_mults(length);
    }
    launch(combine_kernel, looping(combine_kernel, length), stream, form, length, out);
    onto = true;
  } while (next < order.size());
}

void multiply(const Column& a, const Column& b, Fr* out, Stream stream) {
  launch(multiply_kernel, looping(multiply_kernel, a.size), stream, AnyColumn{a.type, a.data},
         AnyColumn{b.type, b.data}, a.size, out);
  count_field_mults(a.size);
}

void batch_inverse(const Fr* values, size_t count, Fr* out, Stream stream) {
  const unsigned resident = resident_blocks(inverse_kernel);
  const unsigned wanted = blocks_for((count + kInverseChunk - 1) / kInverseChunk);
  const unsigned least = std::min(resident, blocks_for(count));
  const unsigned grid = std::max(least, std::min(wanted, 4 * resident));
  launch(inverse_kernel, {dim3(grid), kBlock}, stream, values, count, out);
  count_field_mults(3 * count);
}

bool scatter_add(const int64_t* index, const Fr* values, size_t count, size_t size, Fr* out, Stream stream) {
  const Array<unsigned long long> cells(kCells * size, stream);
  const Array<uint32_t> wrong(1, stream);
  check(cudaMemsetAsync(cells.data(), 0, kCells * size * sizeof(unsigned long long), stream));
  check(cudaMemsetAsync(wrong.data(), 0, sizeof(uint32_t), stream));
  launch(scatter_kernel, looping(scatter_kernel, count), stream, index, values, count, size, cells.data(),
         wrong.data());
  launch(settle_kernel, looping(settle_kernel, size), stream, cells.data(), size, out);
  uint32_t outside = 0;
  copy_to_host(&outside, wrong.data(), sizeof outside, stream);
  return outside == 0;
}

}  // namespace zkcore::cuda
