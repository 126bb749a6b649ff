// Affine sums of integer arrays in one pass: each may be repeated along axes, of any type, and cut short.
#include <algorithm>

#include "cuda/device.cuh"

namespace zkcore::cuda {
namespace {

constexpr int64_t kSafe = int64_t{1} << 62;

struct Term {
  const void* data;
  ColumnType type;
  int64_t coefficient;
  int64_t strides[kMaxAxes];
  uint64_t stored[kMaxAxes];
};

struct Domain {
  Term terms[kMaxTerms];
  uint64_t shape[kMaxAxes], real[kMaxAxes];
  uint64_t size;
  int64_t constant;
  int count, shift, bits;
};

// sum += a b. Both stay below 2^62, so a sum that wraps around does not look as if it did; a product that
// does is told by its upper half. False if either happens.
__device__ __forceinline__ bool add_product(int64_t& sum, int64_t a, int64_t b) {
  const auto low = static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  const auto next = static_cast<uint64_t>(sum) + static_cast<uint64_t>(low);
  sum = static_cast<int64_t>(next);
  return __mul64hi(a, b) == low >> 63 && next + kSafe < 2 * static_cast<uint64_t>(kSafe);
}

constexpr int kTogether = 4;  // entries of a thread, whose reads do not wait for each other

// Where an entry lies: a place outside the domain is -1 in all axes, and so outside of everything stored.
template <class Index, int kAxes>
struct Place {
  Index at[kAxes];

  __device__ __forceinline__ void find(const Domain& d, size_t i) {
    const bool outside = i >= d.size;
    Index rest = static_cast<Index>(i);
#pragma unroll
    for (int k = kAxes; k-- > 0;) {
      const Index whole = k ? rest / static_cast<Index>(d.shape[k]) : 0;
      at[k] = outside ? ~Index{0} : rest - whole * static_cast<Index>(d.shape[k]);
      rest = whole;
    }
  }

  __device__ __forceinline__ bool inside(const uint64_t* sizes) const {
    bool all = true;
#pragma unroll
    for (int k = 0; k < kAxes; ++k) all = all && at[k] < sizes[k];
    return all;
  }

  // -1: the term is zero there.
  __device__ __forceinline__ int64_t offset(const Term& term) const {
    int64_t out = 0;
#pragma unroll
    for (int k = 0; k < kAxes; ++k) out += static_cast<int64_t>(at[k]) * term.strides[k];
    return inside(term.stored) ? out : -1;
  }
};

template <class V>
__device__ __forceinline__ void read(const void* data, const int64_t (&offsets)[kTogether],
                                     int64_t (&values)[kTogether]) {
#pragma unroll
  for (int j = 0; j < kTogether; ++j) {
    values[j] = offsets[j] < 0 ? 0 : static_cast<const V*>(data)[offsets[j]];
  }
}

template <class Index, int kAxes, class T>
__global__ void __launch_bounds__(kBlock)
    affine_kernel(const __grid_constant__ Domain d, T* out, int32_t* lost) {
  bool fits = true;
  const size_t step = thread_count();
  for (size_t start = thread_index(); start < d.size; start += kTogether * step) {
    Place<Index, kAxes> places[kTogether];
    int64_t sums[kTogether];
#pragma unroll
    for (int j = 0; j < kTogether; ++j) {
      places[j].find(d, start + j * step);
      sums[j] = d.constant != 0 && places[j].inside(d.real) ? d.constant : 0;
    }
    for (int t = 0; t < d.count; ++t) {
      const Term& term = d.terms[t];
      int64_t offsets[kTogether], values[kTogether];
#pragma unroll
      for (int j = 0; j < kTogether; ++j) offsets[j] = places[j].offset(term);
      if (term.type == ColumnType::kInt8) {
        read<int8_t>(term.data, offsets, values);
      } else if (term.type == ColumnType::kInt16) {
        read<int16_t>(term.data, offsets, values);
      } else if (term.type == ColumnType::kInt32) {
        read<int32_t>(term.data, offsets, values);
      } else {
        read<int64_t>(term.data, offsets, values);
      }
#pragma unroll
      for (int j = 0; j < kTogether; ++j) fits = add_product(sums[j], term.coefficient, values[j]) && fits;
    }
#pragma unroll
    for (int j = 0; j < kTogether; ++j) {
      const size_t i = start + j * step;
      if (i >= d.size) continue;
      int64_t sum = sums[j];
      if (d.bits) sum = sum >> d.shift & ((int64_t{1} << d.bits) - 1);
      out[i] = static_cast<T>(sum);
      fits = fits && static_cast<T>(sum) == sum;
    }
  }
  if (!fits) *lost = 1;
}

// Axis k + 1 goes on where axis k has ended: they are one.
bool joins(const Affine64& form, size_t k) {
  const size_t n = form.shape[k + 1];
  if (form.real[k + 1] != n) return false;
  for (const Spread& t : form.terms) {
    if (t.stored[k + 1] != n || t.strides[k] != t.strides[k + 1] * static_cast<int64_t>(n)) return false;
  }
  return true;
}

Affine64 joined(Affine64 form) {
  for (size_t k = form.shape.size(); k-- > 1;) {
    if (!joins(form, k - 1)) continue;
    const size_t n = form.shape[k];
    const auto merge = [&](std::vector<size_t>& sizes) {
      sizes[k - 1] *= n;
      sizes.erase(sizes.begin() + static_cast<ptrdiff_t>(k));
    };
    merge(form.shape);
    merge(form.real);
    for (Spread& t : form.terms) {
      merge(t.stored);
      t.strides.erase(t.strides.begin() + static_cast<ptrdiff_t>(k) - 1);
    }
  }
  return form;
}

// With axes of one cell in front, up to `axes` of them.
Domain laid(const Affine64& form, size_t axes) {
  Domain out{};
  out.count = static_cast<int>(form.terms.size());
  out.constant = form.constant;
  out.shift = form.shift;
  out.bits = form.bits;
  out.size = 1;
  const size_t own = form.shape.size(), ahead = axes - own;
  std::fill_n(out.shape, ahead, 1);
  std::fill_n(out.real, ahead, 1);
  for (size_t k = 0; k < own; ++k) {
    out.shape[ahead + k] = form.shape[k];
    out.real[ahead + k] = form.real[k];
    out.size *= form.shape[k];
  }
  for (size_t t = 0; t < form.terms.size(); ++t) {
    const Spread& from = form.terms[t];
    Term& to = out.terms[t];
    to.data = from.column.data;
    to.type = from.column.type;
    to.coefficient = from.coefficient;
    std::fill_n(to.stored, ahead, 1);
    std::copy_n(from.strides.begin(), own, to.strides + ahead);
    std::copy_n(from.stored.begin(), own, to.stored + ahead);
  }
  return out;
}

template <class Index, int kAxes>
void run(const Affine64& form, ColumnType kind, void* out, int32_t* lost, Stream stream) {
  const Domain domain = laid(form, kAxes);
  visit_integers({kind, out, domain.size}, [&](auto* data) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(data)>>;
    const auto kernel = affine_kernel<Index, kAxes, T>;
    launch(kernel, looping(kernel, domain.size), stream, domain, static_cast<T*>(out), lost);
  });
}

}  // namespace

void affine(const Affine64& form, ColumnType kind, void* out, int32_t* lost, Stream stream) {
  const Affine64 own = joined(form);
  size_t size = 1;
  for (const size_t n : own.shape) size *= n;
  if (own.shape.size() > 4 || size >> 32) return run<uint64_t, kMaxAxes>(own, kind, out, lost, stream);
  if (own.shape.size() <= 1) return run<uint32_t, 1>(own, kind, out, lost, stream);
  if (own.shape.size() == 2) return run<uint32_t, 2>(own, kind, out, lost, stream);
  if (own.shape.size() == 3) return run<uint32_t, 3>(own, kind, out, lost, stream);
  run<uint32_t, 4>(own, kind, out, lost, stream);
}

}  // namespace zkcore::cuda
