// Row commitments of ternary rows: sums of signed subset sums of the generators.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "batch_affine.hpp"
#include "parallel.hpp"
#include "zkcore/group_counters.hpp"
#include "zkcore/ternary.hpp"

namespace zkcore {
namespace {

constexpr size_t kStrip = 2040;               // columns: a multiple of every group size
constexpr size_t kRowsAtOnce = 8;             // of a strip: enough to fill batches of additions
constexpr size_t kRoom = size_t{2400} << 20;  // bytes of subset sums

// In hundred-thousandths: additions an entry takes in groups of g (a third of the entries is 0), and
// additions that the sums of a generator's group take.
constexpr std::array<uint64_t, kMostTrits + 1> kAdds = {0, 66667, 44444, 32099, 24691, 19918};

uint64_t making(int g) { return uint64_t{100000} * (ternary_half(g) - g) / g; }

size_t groups_of(size_t count, int g) { return (count + g - 1) / g; }

// The group size for generators that were read `uses` times, with those that are asked for now, and are
// expected to be read as often again. Sums for groups of `have` are there.
int best_group(size_t count, uint64_t uses, int have) {
  int best = have;
  uint64_t least = uses * kAdds[have];
  for (int g = have + 1; g <= kMostTrits; ++g) {
    if (groups_of(count, g) * ternary_half(g) * sizeof(Affine) > kRoom) break;
    const uint64_t cost = uses * kAdds[g] + making(g);
    if (cost < least) least = cost, best = g;
  }
  return best;
}

// sums[v - 1] = sum_i w_i generators[i] for v = sum_i 3^i w_i > 0, for each group. The highest w_i that is
// not 0 is 1, so the sums of i + 1 generators are those of i, G_i itself, and G_i plus or minus each.
void extend(BatchAdder& adder, const Affine* generator, Affine* sums, uint32_t done) {
  const uint32_t power = 2 * done + 1;
  sums[power - 1] = *generator;
  for (uint32_t v = 1; v <= done; ++v) {
    adder.add(sums + power + v - 1, generator, sums + v - 1);
    adder.add(sums + power - v - 1, generator, false, sums + v - 1, true);
  }
}

Buffer<Affine> subset_sums(const Affine* generators, size_t count, int g) {
  const size_t groups = groups_of(count, g), half = ternary_half(g);
  Buffer<Affine> sums = make_buffer<Affine>(groups * half);
  parallel_for(groups, 16, [&](size_t begin, size_t end) {
    BatchAdder adder;
    for (uint32_t i = 0, done = 0; i < static_cast<uint32_t>(g); ++i, done = 3 * done + 1) {
      for (size_t t = begin; t < end; ++t) {
        if (t * g + i < count) extend(adder, generators + t * g + i, &sums[t * half], done);
      }
      adder.flush();
    }
  });
  return sums;
}

// Appends where the sums of some columns' groups lie; groups of zeros take no addition. Sums are far apart,
// and fetched while the rest is looked for.
void collect(const Affine* points, const int8_t* row, size_t begin, size_t end, int g,
             std::vector<SignedIndex>& entries) {
  const size_t half = ternary_half(g);
  size_t base = begin / g * half;
  for (size_t j = begin; j < end; j += g, base += half) {
    int value = 0;
    for (size_t i = std::min(end, j + g); i-- > j;) value = 3 * value + row[i];
    if (value == 0) continue;
    const size_t index = base + std::abs(value) - 1;
    __builtin_prefetch(&points[index].x);
    __builtin_prefetch(&points[index].y);
    entries.push_back(signed_index(index, value < 0));
  }
}

// Rows of some columns: a strip, or several where rows are few.
class Tiles {
 public:
  Tiles(const int8_t* rows, size_t n, size_t width)
      : rows_(rows),
        n_(n),
        width_(width),
        columns_(kStrip * std::max<size_t>(1, kRowsAtOnce / std::max<size_t>(1, n))),
        across_((width + columns_ - 1) / columns_),
        down_((n + kRowsAtOnce - 1) / kRowsAtOnce) {}

  // sums[i]: of row i.
  void sum(const Affine* points, int g, Xyzz* sums) const {
    std::vector<Affine> found(across_ * n_);
    parallel_for(across_ * down_, 1, [&](size_t begin, size_t end) {
      RunSums runs;
      std::vector<SignedIndex> entries;
      std::vector<uint32_t> offsets;
      for (size_t tile = begin; tile < end; ++tile) {
        const size_t strip = tile / down_, first = tile % down_ * kRowsAtOnce;
        const size_t last = std::min(n_, first + kRowsAtOnce), from = strip * columns_;
        entries.clear();
        offsets.assign(1, 0);
        for (size_t i = first; i < last; ++i) {
          collect(points, rows_ + i * width_, from, std::min(width_, from + columns_), g, entries);
          offsets.push_back(static_cast<uint32_t>(entries.size()));
        }
        runs.sum(points, entries.data(), offsets.data(), last - first, &found[strip * n_ + first]);
      }
    });
    join(found, sums);
  }

 private:
  void join(const std::vector<Affine>& found, Xyzz* sums) const {
    parallel_for(n_, 1, [&](size_t begin, size_t end) {
      uint64_t adds = 0;
      for (size_t i = begin; i < end; ++i) {
        sums[i] = Xyzz::infinity();
        for (size_t strip = 0; strip < across_; ++strip) {
          const Affine& part = found[strip * n_ + i];
          adds += !sums[i].is_infinity() && !part.is_infinity();
          sums[i] = add(sums[i], part);
        }
      }
      count_group_adds(adds);
    });
  }

  const int8_t* rows_;
  const size_t n_, width_, columns_, across_, down_;
};

}  // namespace

// Are the kept sums those of these generators? Compared by what they are: an array may be written to.
bool TernaryRows::made_of(const Affine* generators) const {
  std::atomic<bool> same = true;
  parallel_for(count_, 1 << 14, [&](size_t begin, size_t end) {
    if (std::memcmp(own_.get() + begin, generators + begin, (end - begin) * sizeof(Affine)) != 0)
      same = false;
  });
  return same;
}

void TernaryRows::prepare(const Affine* generators, size_t count, size_t entries) {
  if (count != count_ || (g_ > 1 && !made_of(generators))) {
    g_ = 1, count_ = count, served_ = 0;
    sums_ = nullptr, own_ = nullptr;
  }
  served_ += entries;
  const int g = best_group(count, served_ / std::max<size_t>(1, count), g_);
  if (g == g_) return;
  sums_ = nullptr, g_ = 1;  // if there is no memory for more, this is what is left
  own_ = make_buffer<Affine>(count);
  std::copy_n(generators, count, own_.get());
  sums_ = subset_sums(generators, count, g);
  g_ = g;
}

void TernaryRows::commit(const Affine* generators, size_t count, const int8_t* rows, size_t n, size_t width,
                         const Fr* blinds, const FixedBase& blinder, Affine* out) {
  const std::lock_guard<std::mutex> lock(busy_);
  prepare(generators, count, n * width);
  std::vector<Xyzz> sums(n, Xyzz::infinity());
  if (width > 0) Tiles(rows, n, width).sum(g_ == 1 ? generators : sums_.get(), g_, sums.data());
  blinder.add_blinds(sums.data(), blinds, n, out);
}

}  // namespace zkcore
