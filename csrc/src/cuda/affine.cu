// Affine sums of integer arrays in one pass: each may be repeated along axes, of any type, and cut short.
#include <stdexcept>

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
  int axes, count, shift, bits;
};

__device__ __forceinline__ int64_t read(const Term& term, int64_t at) {
  switch (term.type) {
    case ColumnType::kInt8:
      return static_cast<const int8_t*>(term.data)[at];
    case ColumnType::kInt16:
      return static_cast<const int16_t*>(term.data)[at];
    case ColumnType::kInt32:
      return static_cast<const int32_t*>(term.data)[at];
    default:
      return static_cast<const int64_t*>(term.data)[at];
  }
}

// sum += a b. Both stay below 2^62, so a sum that wraps around does not look as if it did; a product that
// does is told by its upper half. False if either happens.
__device__ __forceinline__ bool add_product(int64_t& sum, int64_t a, int64_t b) {
  const auto low = static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
  const auto next = static_cast<uint64_t>(sum) + static_cast<uint64_t>(low);
  sum = static_cast<int64_t>(next);
  return __mul64hi(a, b) == low >> 63 && next + kSafe < 2 * static_cast<uint64_t>(kSafe);
}

template <class Index, class T>
__global__ void __launch_bounds__(kBlock)
    affine_kernel(const __grid_constant__ Domain d, T* out, int32_t* lost) {
  bool fits = true;
  for (size_t i = thread_index(); i < d.size; i += thread_count()) {
    Index at[kMaxAxes];
    Index rest = static_cast<Index>(i);
    bool real = true;
#pragma unroll
    for (int k = kMaxAxes; k-- > 0;) {
      if (k >= d.axes) continue;
      const Index whole = k ? rest / static_cast<Index>(d.shape[k]) : 0;
      at[k] = rest - whole * static_cast<Index>(d.shape[k]);
      rest = whole;
      real = real && at[k] < d.real[k];
    }
    int64_t sum = real ? d.constant : 0;
    for (int t = 0; t < d.count; ++t) {
      const Term& term = d.terms[t];
      int64_t offset = 0;
      bool inside = true;
#pragma unroll
      for (int k = 0; k < static_cast<int>(kMaxAxes); ++k) {
        if (k >= d.axes) continue;
        offset += static_cast<int64_t>(at[k]) * term.strides[k];
        inside = inside && at[k] < term.stored[k];
      }
      if (inside) fits = add_product(sum, term.coefficient, read(term, offset)) && fits;
    }
    if (d.bits) sum = sum >> d.shift & ((int64_t{1} << d.bits) - 1);
    out[i] = static_cast<T>(sum);
    fits = fits && out[i] == sum;
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

Domain laid(const Affine64& form) {
  Domain out{};
  out.axes = static_cast<int>(form.shape.size());
  out.count = static_cast<int>(form.terms.size());
  out.constant = form.constant;
  out.shift = form.shift;
  out.bits = form.bits;
  out.size = 1;
  for (size_t k = 0; k < form.shape.size(); ++k) {
    out.shape[k] = form.shape[k];
    out.real[k] = form.real[k];
    out.size *= form.shape[k];
  }
  for (size_t t = 0; t < form.terms.size(); ++t) {
    const Spread& from = form.terms[t];
    Term& to = out.terms[t];
    to.data = from.column.data;
    to.type = from.column.type;
    to.coefficient = from.coefficient;
    for (size_t k = 0; k < form.shape.size(); ++k) {
      to.strides[k] = from.strides[k];
      to.stored[k] = from.stored[k];
    }
  }
  return out;
}

template <class Index, class T>
void run(const Domain& domain, T* out, int32_t* lost, Stream stream) {
  launch(affine_kernel<Index, T>, looping(affine_kernel<Index, T>, domain.size), stream, domain, out, lost);
}

}  // namespace

void affine(const Affine64& form, ColumnType kind, void* out, int32_t* lost, Stream stream) {
  const Domain domain = laid(joined(form));
  visit_integers({kind, out, domain.size}, [&](auto* data) {
    auto* made = const_cast<std::remove_const_t<std::remove_pointer_t<decltype(data)>>*>(data);
    if (domain.size >> 32) return run<uint64_t>(domain, made, lost, stream);
    run<uint32_t>(domain, made, lost, stream);
  });
}

}  // namespace zkcore::cuda
