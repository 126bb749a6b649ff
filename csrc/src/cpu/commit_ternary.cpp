// Row commitments of ternary rows: sums of precomputed signed subset sums of the generators. Tables are made
// for a strip of columns at a time, and serve all rows.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "batch_affine.hpp"
#include "counters.hpp"
#include "parallel.hpp"
#include "zkcore/ternary.hpp"

namespace zkcore {
namespace {

constexpr size_t kStrip = 2040;          // columns: a multiple of every group size but 7
constexpr size_t kEntriesAtOnce = 8192;  // enough to fill batches of additions

// table[v - 1] = sum_i w_i generators[i] for v = sum_i 3^i w_i > 0, for each group of a strip. The highest
// w_i that is not 0 is 1, so the sums of i + 1 generators are those of i, G_i itself, and G_i plus or minus
// each.
class Tables {
 public:
  Tables(const Affine* generators, size_t columns, int g)
      : g_(g), half_(ternary_half(g)), sums_((columns + g - 1) / g * half_) {
    const size_t groups = (columns + g - 1) / g;
    parallel_for(groups, 16, [&](size_t begin, size_t end) {
      BatchAdder adder;
      for (uint32_t i = 0, done = 0; i < static_cast<uint32_t>(g); ++i, done = 3 * done + 1) {
        for (size_t t = begin; t < end; ++t) {
          if (t * g + i < columns) extend(adder, generators + t * g + i, &sums_[t * half_], done);
        }
        adder.flush();
      }
    });
  }

  const Affine* sums() const { return sums_.data(); }

  // Appends where the sums of a row's groups lie; groups of zeros take no addition.
  void collect(const int8_t* row, size_t columns, std::vector<SignedIndex>& entries) const {
    size_t base = 0;
    for (size_t j = 0; j < columns; j += g_, base += half_) {
      int value = 0;
      for (size_t i = std::min(columns, j + g_); i-- > j;) value = 3 * value + row[i];
      if (value != 0) entries.push_back(signed_index(base + std::abs(value) - 1, value < 0));
    }
  }

 private:
  static void extend(BatchAdder& adder, const Affine* generator, Affine* sums, uint32_t done) {
    const uint32_t power = 2 * done + 1;
    sums[power - 1] = *generator;
    for (uint32_t v = 1; v <= done; ++v) {
      adder.add(sums + power + v - 1, generator, sums + v - 1);
      adder.add(sums + power - v - 1, generator, false, sums + v - 1, true);
    }
  }

  const size_t g_;
  const size_t half_;
  std::vector<Affine> sums_;
};

// sums[i] += the sum of row i over a strip.
void add_strip(const Tables& tables, const int8_t* rows, size_t n, size_t width, size_t columns, Xyzz* sums) {
  const size_t together = std::max<size_t>(1, kEntriesAtOnce * 2 / columns);
  parallel_for(n, together, [&](size_t begin, size_t end) {
    RunSums runs;
    uint64_t adds = 0;
    std::vector<SignedIndex> entries;
    std::vector<uint32_t> offsets;
    std::vector<Affine> found(together);
    for (size_t first = begin; first < end; first += together) {
      const size_t count = std::min(together, end - first);
      entries.clear();
      offsets.assign(1, 0);
      for (size_t i = first; i < first + count; ++i) {
        tables.collect(rows + i * width, columns, entries);
        offsets.push_back(static_cast<uint32_t>(entries.size()));
      }
      runs.sum(tables.sums(), entries.data(), offsets.data(), count, found.data());
      for (size_t i = 0; i < count; ++i) {
        adds += !sums[first + i].is_infinity() && !found[i].is_infinity();
        sums[first + i] = add(sums[first + i], found[i]);
      }
    }
    count_group_adds(adds);
  });
}

}  // namespace

void commit_ternary(const Affine* generators, const int8_t* rows, size_t n, size_t width, const Fr* blinds,
                    const FixedBase& blinder, Affine* out) {
  std::vector<Xyzz> sums(n, Xyzz::infinity());
  const int g = ternary_group(n, 100);
  for (size_t first = 0; first < width; first += kStrip) {
    const size_t columns = std::min(kStrip, width - first);
    const Tables tables(generators + first, columns, g);
    add_strip(tables, rows + first, n, width, columns, sums.data());
  }
  blinder.add_blinds(sums.data(), blinds, n, out);
}

}  // namespace zkcore
