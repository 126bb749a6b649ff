// Verbs on whole columns, entry by entry. Field arrays are [n, 4] 64-bit limbs, integers are read as they
// are.
#include <algorithm>

#include "cuda/inverse.cuh"
#include "cuda/sums.cuh"
#include "zkcore/field_counters.hpp"

namespace zkcore::cuda {
namespace {

// out[i] = values[i]. Lanes 2 j and 2 j + 1 convert an element each and write the halves of both, so that
// whole sectors are written.
template <class T>
__global__ void __launch_bounds__(kBlock) convert_kernel(const T* values, size_t n, Fr* out) {
  const bool odd = threadIdx.x % 2;
  const size_t step = 2 * thread_count();
  for (size_t warp = 2 * (thread_index() & ~size_t{31}); warp < n; warp += step) {
    const size_t base = warp + 2 * (threadIdx.x % 32 & ~1u);  // of four elements
    Fr own[2];
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      const size_t i = base + 2 * k + odd;
      own[k] = entry(i < n ? values[i] : T{0});
    }
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      // The even lane's lower half and the odd lane's upper half stay.
      const uint64_t away[2] = {odd ? own[k].v[0] : own[k].v[2], odd ? own[k].v[1] : own[k].v[3]};
      const uint64_t got[2] = {__shfl_xor_sync(0xffffffffu, away[0], 1),
                               __shfl_xor_sync(0xffffffffu, away[1], 1)};
      const uint64_t first[2] = {odd ? got[0] : own[k].v[0], odd ? got[1] : own[k].v[1]};
      const uint64_t second[2] = {odd ? own[k].v[2] : got[0], odd ? own[k].v[3] : got[1]};
      const size_t i = base + 2 * k;
      uint4* to = reinterpret_cast<uint4*>(out + i);
      if (i < n) to[odd] = words(first);
      if (i + 1 < n) to[2 + odd] = words(second);
    }
  }
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

// out[h][l] = mask[h][l] * sum_k high[k][h] * low[k][l]: entries are written once, however many tables are
// summed.
template <int kTables>
__global__ void __launch_bounds__(kBlock)
    eq_sum_kernel(const Fr* high, size_t rows, const Fr* low, unsigned columns, const int8_t* mask, Fr* out) {
  const unsigned column = blockIdx.x * kBlock + threadIdx.x;
  if (column >= columns) return;
  Fr l[kTables];
#pragma unroll
  for (int k = 0; k < kTables; ++k) l[k] = load(low + static_cast<size_t>(k) * columns + column);
  for (size_t h = blockIdx.y; h < rows; h += gridDim.y) {
    const size_t at = h * columns + column;
    Fr sum = Fr::zero();
    if (mask == nullptr || mask[at] != 0) {
      if constexpr (kTables == 1) {
        sum = load(high + h) * l[0];
      } else {
        std::conditional_t<kTables == 2, TwoProducts, FourProducts> products(load(high + h), l[0]);
#pragma unroll
        for (int k = 1; k < kTables; ++k) products.add(load(high + static_cast<size_t>(k) * rows + h), l[k]);
        sum = products.total();
      }
    }
    store(out + at, sum);
  }
}

template <int kTables>
void launch_eq_sum(const Fr* high, size_t rows, const Fr* low, unsigned columns, const int8_t* mask, Fr* out,
                   Stream stream) {
  const unsigned across = blocks_for(columns);
  const unsigned resident = resident_blocks(eq_sum_kernel<kTables>) / across + 1;
  const unsigned grid = rows < resident ? static_cast<unsigned>(rows) : resident;
  launch(eq_sum_kernel<kTables>, {dim3(across, grid), kBlock}, stream, high, rows, low, columns, mask, out);
}

// Points that begin with the same coordinates `outer`, and what they go on with.
struct Alike {
  std::span<const Fr> outer;
  std::vector<ScaledPoint> inner;
};
std::vector<Alike> alike(std::span<const ScaledPoint> points, size_t outer) {
  std::vector<Alike> out;
  for (const auto& [scale, point] : points) {
    const auto first = std::span<const Fr>(point).first(outer);
    auto group = std::find_if(out.begin(), out.end(), [&](const Alike& a) {
      return outer > 0 && std::equal(first.begin(), first.end(), a.outer.begin());
    });
    if (group == out.end()) group = out.insert(group, {first, {}});
    group->inner.emplace_back(scale,
                              std::vector<Fr>(point.begin() + static_cast<ptrdiff_t>(outer), point.end()));
  }
  return out;
}

// How many first coordinates eq_sum takes apart: those that two points share, if that leaves small tables;
// else so many that a block's threads have the others.
size_t outer_variables(std::span<const ScaledPoint> points) {
  constexpr size_t kWorthwhile = 3;
  const size_t variables = points[0].second.size();
  const size_t rest = variables - std::min<size_t>(variables, kDoubled);
  size_t common = 0;
  for (size_t a = 0; a < points.size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      const std::vector<Fr>& own = points[a].second;
      const auto end = std::mismatch(own.begin(), own.end(), points[b].second.begin()).first;
      common = std::max(common, static_cast<size_t>(end - own.begin()));
    }
  }
  return common < kWorthwhile ? rest : std::min(common, rest);
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

}  // namespace

void from_ints(const Column& column, Fr* out, Stream stream) {
  visit_integers(column, [&](auto* data) {
    using T = std::decay_t<decltype(*data)>;
    launch(convert_kernel<T>, looping(convert_kernel<T>, (column.size + 1) / 2), stream, data, column.size,
           out);
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

void eq_sum(std::span<const ScaledPoint> points, const int8_t* mask, Fr* out, Stream stream) {
  const size_t variables = points[0].second.size();
  const size_t outer = outer_variables(points);
  const size_t rows = size_t{1} << outer;
  const size_t columns = size_t{1} << (variables - outer);
  const std::vector<Alike> groups = alike(points, outer);
  const Array<Fr> high(rows * groups.size(), stream), low(columns * groups.size(), stream);
  for (size_t k = 0; k < groups.size(); ++k) {
    const std::vector<ScaledPoint>& inner = groups[k].inner;
    Fr* own = low.data() + k * columns;
    eq_table(groups[k].outer, Fr::one(), high.data() + k * rows, stream);
    inner.size() == 1 ? eq_table(inner[0].second, inner[0].first, own, stream)
                      : eq_sum(inner, nullptr, own, stream);
  }
  const auto run = [&](auto count) {
    launch_eq_sum<count()>(high.data(), rows, low.data(), static_cast<unsigned>(columns), mask, out, stream);
  };
  switch (groups.size()) {
    case 1:
      run(std::integral_constant<int, 1>{});
      break;
    case 2:
      run(std::integral_constant<int, 2>{});
      break;
    case 3:
      run(std::integral_constant<int, 3>{});
      break;
    default:
      run(std::integral_constant<int, kMostEqTables>{});
      break;
  }
  count_field_mults(groups.size() << variables);
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

}  // namespace zkcore::cuda
