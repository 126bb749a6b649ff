// Folds of ternary columns by additions alone: the signed subset sums of a few weights at a time, and one of
// them added to an output for each group of entries. Sums are kept in five limbs and reduced by subtracting
// multiples of the modulus.
#include <algorithm>
#include <array>
#include <atomic>
#include <vector>

#include "cpu/parallel.hpp"
#include "zkcore/ternary.hpp"

namespace zkcore {
namespace {

constexpr size_t kOutputs = 512;      // accumulators of a task: they stay in the cache, as a table does
constexpr size_t kGroupsAtOnce = 64;  // tables held at a time
constexpr int kCarryBits = 7;         // the sum of a start and 64 reduced numbers is below 2^7 p

// p, 2 p, 4 p, ...
struct Multiples {
  uint64_t v[kCarryBits][5];

  Multiples() {
    const Limbs<4> p = FrParams::modulus();
    for (int s = 0; s < kCarryBits; ++s) {
      uint64_t below = 0;
      for (int i = 0; i < 5; ++i) {
        const uint64_t limb = i < 4 ? p.v[i] : 0;
        v[s][i] = limb << s | (s ? below >> (64 - s) : 0);
        below = limb;
      }
    }
  }
};

struct LazySum {
  uint64_t v[5];

  explicit LazySum(const Fr& start) : v{start.v[0], start.v[1], start.v[2], start.v[3], 0} {}
  LazySum() : v{} {}

  ZK_INLINE void add(const Fr& a) {
    uint64_t carry = 0;
    for (int i = 0; i < 4; ++i) v[i] = add_carry(v[i], a.v[i], carry);
    v[4] += carry;
  }

  Fr reduced(const Multiples& multiples) const {
    LazySum r = *this;
    for (int s = kCarryBits; s-- > 0;) {
      LazySum less;
      uint64_t borrow = 0;
      for (int i = 0; i < 5; ++i) less.v[i] = sub_borrow(r.v[i], multiples.v[s][i], borrow);
      if (!borrow) r = less;
    }
    Fr out;
    std::copy_n(r.v, 4, out.v);
    return out;
  }
};

// table[v + h] = sum_i w_i weights[i] for v = sum_i 3^i w_i.
void subset_sums(const Fr* weights, int g, Fr* table) {
  Fr* middle = table + ternary_half(g);
  *middle = Fr::zero();
  int half = 0;
  for (int i = 0; i < g; ++i) {
    const int power = 2 * half + 1;
    for (int v = -half; v <= half; ++v) {
      middle[power + v] = middle[v] + weights[i];
      middle[v - power] = middle[v] - weights[i];
    }
    half += power;
  }
}

struct Fold {
  const int8_t* column;
  size_t outer, k, inner;
  int g;

  // The groups of outputs [begin, end) at entries j, ..., j + count - 1 of k, as places in a table.
  void places(size_t begin, size_t end, size_t j, int count, uint8_t* out) const {
    for (size_t at = begin; at < end;) {
      const size_t o = at / inner, i = at % inner;
      const size_t run = std::min(end - at, inner - i);
      const int8_t* entries = column + (o * k + j) * inner + i;
      for (size_t x = 0; x < run; ++x) {
        int value = 0;
        for (int t = count; t-- > 0;) value = 3 * value + entries[t * inner + x];
        out[x] = static_cast<uint8_t>(value + static_cast<int>(ternary_half(g)));
      }
      at += run;
      out += run;
    }
  }
};

}  // namespace

bool is_ternary(const int8_t* entries, size_t count) {
  std::atomic<bool> all{true};
  parallel_for(count, 1 << 16, [&](size_t begin, size_t end) {
    uint8_t worst = 0;
    for (size_t i = begin; i < end; ++i) worst = std::max(worst, static_cast<uint8_t>(entries[i] + 1));
    if (worst > 2) all = false;
  });
  return all;
}

void contract_ternary(const int8_t* column, size_t outer, size_t k, size_t inner, const Fr* weights,
                      Fr* out) {
  const size_t outputs = outer * inner;
  std::fill_n(out, outputs, Fr::zero());
  const Fold fold{column, outer, k, inner, ternary_group(outputs, 200)};
  const size_t size = 2 * ternary_half(fold.g) + 1, step = kGroupsAtOnce * fold.g;
  const Multiples multiples;
  std::vector<Fr> tables(kGroupsAtOnce * size);
  for (size_t first = 0; first < k; first += step) {
    const size_t last = std::min(k, first + step);
    const size_t groups = (last - first + fold.g - 1) / fold.g;
    const auto count = [&](size_t t) {
      return static_cast<int>(std::min<size_t>(fold.g, last - first - t * fold.g));
    };
    parallel_for(groups, 8, [&](size_t begin, size_t end) {
      for (size_t t = begin; t < end; ++t) {
        std::array<Fr, kMostTrits> own{};  // missing entries weigh nothing
        std::copy_n(weights + first + t * fold.g, count(t), own.begin());
        subset_sums(own.data(), fold.g, tables.data() + t * size);
      }
    });
    parallel_for((outputs + kOutputs - 1) / kOutputs, 1, [&](size_t begin, size_t end) {
      std::array<LazySum, kOutputs> sums;
      std::array<uint8_t, kOutputs> places;
      for (size_t b = begin * kOutputs; b < std::min(outputs, end * kOutputs); b += kOutputs) {
        const size_t width = std::min(kOutputs, outputs - b);
        for (size_t i = 0; i < width; ++i) sums[i] = LazySum(out[b + i]);
        for (size_t t = 0; t < groups; ++t) {
          const Fr* table = tables.data() + t * size;
          fold.places(b, b + width, first + t * fold.g, count(t), places.data());
          for (size_t i = 0; i < width; ++i) sums[i].add(table[places[i]]);
        }
        for (size_t i = 0; i < width; ++i) out[b + i] = sums[i].reduced(multiples);
      }
    });
  }
}

}  // namespace zkcore
