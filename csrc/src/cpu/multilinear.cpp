#include "zkcore/multilinear.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <type_traits>

#include "cpu/parallel.hpp"
#include "zkcore/field_counters.hpp"
#include "zkcore/inverse.hpp"

namespace zkcore {
namespace {

constexpr size_t kGrain = 1024;         // entries that are worth a task of their own
constexpr size_t kBlock = 256;          // entries worked on while they are in the first-level cache
constexpr size_t kInverseChunk = 4096;  // values that share one inversion

// ---- accumulators: the sum of entry * weight for each type of entry

// Up to 32 bits: unsigned, so bias * (sum of weights) is still to be taken away.
template <class T>
struct RowSum {
  static constexpr bool kBiased = true;
  static constexpr Fr kCorrection = -two_to<kBiasBits<T>>();
  SmallSum sum{Fr::zero()};
  ZK_INLINE void add(T x, const Fr& w) { sum.add(biased(x), w); }
  Fr total() const { return lift(sum.lower()); }
};

template <>
struct RowSum<int64_t> {
  static constexpr bool kBiased = false;
  WideAcc<Fr> sum;
  ZK_INLINE void add(int64_t x, const Fr& w) { add_signed(sum, x, w); }
  Fr total() const { return sum.reduce(); }
};

template <>
struct RowSum<Fr> {
  static constexpr bool kBiased = false;
  ProductAcc<Fr> sum;
  ZK_INLINE void add(const Fr& x, const Fr& w) { sum.add(x, w); }
  Fr total() const { return sum.reduce(); }
};

// What the biases of `count` entries contributed, negated.
template <class T>
Fr correction(const Fr* weights, size_t count) {
  if constexpr (RowSum<T>::kBiased) {
    SmallSum sum(Fr::zero());
    for (size_t i = 0; i < count; ++i) sum.add(1, weights[i]);
    return lift(sum.lower()) * RowSum<T>::kCorrection;
  } else {
    return Fr::zero();
  }
}

template <class T>
void count_products(size_t n) {
  kIsField<T> ? count_field_mults(n) : count_small_mults(n);
}

// ---- contract

struct ContractShape {
  size_t outer, k, inner;
  size_t inner_blocks;  // blocks of at most kBlock accumulators
  size_t k_chunks;      // > 1 only where outer and inner give too few tasks
};

ContractShape contract_shape(size_t outer, size_t k, size_t inner) {
  ContractShape s{outer, k, inner, (inner + kBlock - 1) / kBlock, 1};
  const size_t tasks = outer * s.inner_blocks;
  const size_t wanted = 4 * static_cast<size_t>(threads());
  if (tasks < wanted) s.k_chunks = std::clamp<size_t>(k * std::min(inner, kBlock) / (4 * kGrain), 1, wanted);
  return s;
}

// Weights of one chunk of k.
struct Weights {
  const Fr* data;
  size_t count;
  Fr correction;
};

// correction + sum over j < weights.count of data[j * stride + i] * weights[j], for i < width; added to `out`
// under the lock where other tasks share it.
template <class T>
void contract_block(const T* data, size_t stride, size_t width, const Weights& weights, Fr* out,
                    std::mutex* shared) {
  std::array<RowSum<T>, kBlock> sums;
  if (width == 1) {
    RowSum<T> sum{};  // in registers
    for (size_t j = 0; j < weights.count; ++j) sum.add(data[j * stride], weights.data[j]);
    sums[0] = sum;
  } else {
    std::fill_n(sums.begin(), width, RowSum<T>{});
    for (size_t j = 0; j < weights.count; ++j) {
      const T* row = data + j * stride;
      for (size_t i = 0; i < width; ++i) sums[i].add(row[i], weights.data[j]);
    }
  }
  if (!shared) {
    for (size_t i = 0; i < width; ++i) out[i] = sums[i].total() + weights.correction;
    return;
  }
  const std::lock_guard<std::mutex> lock(*shared);
  for (size_t i = 0; i < width; ++i) out[i] += sums[i].total() + weights.correction;
}

template <class T>
std::vector<Weights> split_weights(const Fr* weights, const ContractShape& s) {
  std::vector<Weights> chunks(s.k_chunks);
  parallel_for(s.k_chunks, 1, [&](size_t first, size_t last) {
    for (size_t c = first; c < last; ++c) {
      const size_t begin = c * s.k / s.k_chunks;
      const size_t count = (c + 1) * s.k / s.k_chunks - begin;
      chunks[c] = {weights + begin, count, correction<T>(weights + begin, count)};
    }
  });
  return chunks;
}

template <class T>
void contract_typed(const T* data, const ContractShape& s, const Fr* weights, Fr* out) {
  std::mutex mutex;
  std::mutex* shared = s.k_chunks > 1 ? &mutex : nullptr;
  if (shared) std::fill_n(out, s.outer * s.inner, Fr::zero());
  const std::vector<Weights> chunks = split_weights<T>(weights, s);
  const size_t per_task = s.k * std::min(s.inner, kBlock) / s.k_chunks + 1;
  parallel_for(s.outer * s.inner_blocks * s.k_chunks, kGrain / per_task + 1, [&](size_t first, size_t last) {
    for (size_t t = first; t < last; ++t) {
      const Weights& chunk = chunks[t % s.k_chunks];
      const size_t block = t / s.k_chunks % s.inner_blocks * kBlock;
      const size_t o = t / s.k_chunks / s.inner_blocks;
      const size_t skipped = static_cast<size_t>(chunk.data - weights);
      contract_block(data + (o * s.k + skipped) * s.inner + block, s.inner, std::min(kBlock, s.inner - block),
                     chunk, out + o * s.inner + block, shared);
    }
  });
  count_products<T>(s.outer * s.k * s.inner);
}

// ---- dot

// Sum of products of 64-bit integers, high and low halves apart: good for 2^63 terms.
struct IntegerSum {
  i128 high = 0;
  u128 low = 0;
  ZK_INLINE void add(int64_t a, int64_t b) {
    const i128 product = static_cast<i128>(a) * b;
    high += static_cast<int64_t>(product >> 64);
    low += static_cast<uint64_t>(product);
  }
  Fr total() const {
    const uint64_t h0 = static_cast<uint64_t>(high), h1 = static_cast<uint64_t>(high >> 64);
    uint64_t carry = 0;
    WideAcc<Fr> sum;  // low + 2^64 high, still without the Montgomery factor
    sum.v[0] = static_cast<uint64_t>(low);
    sum.v[1] = add_carry(static_cast<uint64_t>(low >> 64), h0, carry);
    const uint64_t sign = high < 0 ? ~uint64_t{0} : 0;
    sum.v[2] = add_carry(h1, 0, carry);
    for (int i = 3; i < 6; ++i) sum.v[i] = add_carry(sign, 0, carry);
    return sum.reduce() * Fr::r_squared();
  }
};

template <class A, class B>
Fr dot_integers(const A* a, const B* b, size_t count) {
  Fr total = Fr::zero();
  std::mutex mutex;
  parallel_for(count, 4 * kGrain, [&](size_t begin, size_t end) {
    IntegerSum sum;
    for (size_t i = begin; i < end; ++i) sum.add(a[i], b[i]);
    const std::lock_guard<std::mutex> lock(mutex);
    total += sum.total();
  });
  return total;
}

// ---- batch inverse

// Montgomery's trick: out first holds the products of the nonzero values before each entry.
void invert_chunk(const Fr* values, size_t count, Fr* out) {
  Fr product = Fr::one();
  for (size_t i = 0; i < count; ++i) {
    out[i] = product;
    if (!values[i].is_zero()) product *= values[i];
  }
  Fr suffix = inverse(product);  // of the product of the values up to entry i
  for (size_t i = count; i-- > 0;) {
    if (values[i].is_zero()) {
      out[i] = Fr::zero();
      continue;
    }
    out[i] *= suffix;
    suffix *= values[i];
  }
}

}  // namespace

void from_ints(const Column& column, Fr* out) {
  visit_integers(column, [&](auto* data) {
    parallel_for(column.size, kGrain, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) out[i] = to_field(data[i]);
    });
  });
  count_small_mults(column.size);
}

void from_wide_bytes(const uint8_t* data, size_t count, Fr* out) {
  // low + 2^256 high: the conversion of low, plus that of high times 2^256.
  const Fr shift = Fr::r_squared();
  parallel_for(count, kGrain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      Limbs<4> low{}, high{};
      for (size_t b = 0; b < 32; ++b) {
        low.v[b / 8] |= static_cast<uint64_t>(data[64 * i + b]) << (8 * (b % 8));
        high.v[b / 8] |= static_cast<uint64_t>(data[64 * i + 32 + b]) << (8 * (b % 8));
      }
      out[i] = Fr::from_integer(low) + Fr::from_integer(high) * shift;
    }
  });
  count_field_mults(3 * count);
}

void eq_table(std::span<const Fr> point, const Fr& scale, Fr* out) {
  out[0] = scale;
  size_t size = 1;
  for (size_t v = point.size(); v-- > 0; size *= 2) {  // the last variable is the least significant bit
    const Fr w = point[v];
    parallel_for(size, kGrain, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        out[size + i] = out[i] * w;
        out[i] -= out[size + i];
      }
    });
  }
  count_field_mults(size - 1);
}

void contract(const Column& column, size_t outer, size_t k, size_t inner, const Fr* weights, Fr* out) {
  const ContractShape shape = contract_shape(outer, k, inner);
  visit(column, [&](auto* data) { contract_typed(data, shape, weights, out); });
}

Fr dot(const Column& a, const Column& b) {
  Fr total;
  if (b.type == ColumnType::kField) {
    contract(a, 1, a.size, 1, static_cast<const Fr*>(b.data), &total);
  } else if (a.type == ColumnType::kField) {
    contract(b, 1, b.size, 1, static_cast<const Fr*>(a.data), &total);
  } else {
    visit_integers(a,
                   [&](auto* x) { visit_integers(b, [&](auto* y) { total = dot_integers(x, y, a.size); }); });
  }
  return total;
}

// ---- linear forms

LinearForm::LinearForm(std::span<const LinearTerm> terms, const Fr& constant) : constant_(constant) {
  for (const LinearTerm& term : terms) {
    if (term.second.type == ColumnType::kField) {
      fields_.push_back(term);
      field_mults_ += term.first != Fr::one();
    } else {
      add_integers(term);
      ++small_mults_;
    }
  }
  // The first pack starts from the constant, which then costs nothing.
  if (!packs_.empty()) packs_[0].start += lift(constant_);
}

void LinearForm::add_integers(const LinearTerm& term) {
  // Every pack has room for 2^32 - 1 columns of 32 bits, but a 64-bit column needs one for itself.
  const bool whole = term.second.type == ColumnType::kInt64;
  auto pack = std::find_if(packs_.begin(), packs_.end(), [&](const Pack& p) { return !whole && !p.whole; });
  if (pack == packs_.end()) pack = packs_.insert(pack, Pack{Fr::zero(), {}, whole});
  const Fr lifted = lift(term.first);
  visit_integers(term.second, [&](auto* data) {
    using T = std::decay_t<decltype(*data)>;
    pack->start -= lifted * two_to<kBiasBits<T>>();
  });
  pack->terms.emplace_back(lifted, term.second);
}

void LinearForm::load(size_t begin, size_t count, Fr* out) const {
  if (packs_.empty()) std::fill_n(out, count, constant_);
  for (const Pack& pack : packs_) {
    std::array<SmallSum, kMaxCount> sums;
    std::fill_n(sums.begin(), count, SmallSum(pack.start));
    for (const auto& [coefficient, column] : pack.terms) {
      const Fr c = coefficient;
      visit_integers(column, [&](auto* data) {
        for (size_t i = 0; i < count; ++i) sums[i].add(biased(data[begin + i]), c);
      });
    }
    const bool first = &pack == packs_.data();
    for (size_t i = 0; i < count; ++i) out[i] = first ? sums[i].lower() : out[i] + sums[i].lower();
  }
  for (const auto& [coefficient, column] : fields_) {
    const Fr* data = static_cast<const Fr*>(column.data) + begin;
    const Fr c = coefficient;
    if (c == Fr::one()) {
      for (size_t i = 0; i < count; ++i) out[i] += data[i];
    } else {
      for (size_t i = 0; i < count; ++i) out[i] += data[i] * c;
    }
  }
}

void combine(const LinearForm& form, size_t length, Fr* out) {
  constexpr size_t kStep = LinearForm::kMaxCount;
  parallel_for((length + kStep - 1) / kStep, kGrain / kStep, [&](size_t first, size_t last) {
    for (size_t i = first * kStep; i < std::min(length, last * kStep); i += kStep) {
      form.load(i, std::min(kStep, length - i), out + i);
    }
  });
  count_field_mults(form.field_mults() * length);
  count_small_mults(form.small_mults() * length);
}

void multiply(const Column& a, const Column& b, Fr* out) {
  visit(a, [&](auto* x) {
    visit(b, [&](auto* y) {
      parallel_for(a.size, kGrain, [&](size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i) out[i] = to_field(x[i]) * to_field(y[i]);
      });
    });
  });
  count_field_mults(a.size);
}

void batch_inverse(const Fr* values, size_t count, Fr* out) {
  parallel_for((count + kInverseChunk - 1) / kInverseChunk, 1, [&](size_t first, size_t last) {
    for (size_t begin = first * kInverseChunk; begin < std::min(count, last * kInverseChunk);
         begin += kInverseChunk) {
      invert_chunk(values + begin, std::min(kInverseChunk, count - begin), out + begin);
    }
  });
  count_field_mults(3 * count);
}

void scatter_add(const int64_t* index, const Fr* values, size_t count, size_t size, Fr* out) {
  // Each piece of the output reads the whole index and takes what falls into it: no locks, any order.
  const size_t pieces = std::max<size_t>(1, std::min<size_t>(static_cast<size_t>(threads()), count / kGrain));
  parallel_for(pieces, 1, [&](size_t first, size_t last) {
    const size_t begin = first * size / pieces;
    const size_t end = last * size / pieces;
    std::fill(out + begin, out + end, Fr::zero());
    for (size_t i = 0; i < count; ++i) {
      const size_t target = static_cast<size_t>(index[i]);
      if (target >= begin && target < end) out[target] += values[i];
    }
  });
}

}  // namespace zkcore
