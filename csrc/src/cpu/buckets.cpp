#include "buckets.hpp"

#include <algorithm>
#include <atomic>

#include "parallel.hpp"
#include "zkcore/group_counters.hpp"

namespace zkcore {
namespace {

std::atomic<size_t> bucket_room = 0;
constexpr size_t kDigitBytes = 12;  // for each entry of a lane: as digits, and sorted by them

// Entries worked on together: enough to fill batches of additions, few enough to stay in the cache.
constexpr size_t kEntriesAtOnce = 8192;

// Lanes are cut into stretches of buckets for the weighted sums, short ones when there are few lanes:
// stretches advance in step and share inversions.
uint32_t stretch_length(size_t lanes, uint32_t buckets) {
  const uint32_t length = lanes >= 16 ? 128 : 16;
  return std::min(buckets, length);
}

// Sorts the points of some lanes by digit and sums them into the lanes' buckets.
class LaneSums {
 public:
  LaneSums(const Affine* points, uint32_t buckets, Affine* out)
      : points_(points), buckets_(buckets), out_(out) {
    offsets_.push_back(0);
  }
  ~LaneSums() { flush(); }

  // Lanes must come in the order of their buckets in `out`.
  void add(const DigitRow& row, int window) {
    const size_t width = row.width();
    digits_.resize(width);
    ends_.assign(buckets_ + 1, 0);
    for (size_t j = 0; j < width; ++j) {
      digits_[j] = row.digit(j, window);
      ++ends_[std::abs(digits_[j])];
    }
    // Bucket b starts where b - 1 ends; digit 0 is dropped.
    uint32_t position = static_cast<uint32_t>(entries_.size());
    for (uint32_t b = 1; b <= buckets_; ++b) {
      const uint32_t length = ends_[b];
      ends_[b] = position;
      position += length;
      offsets_.push_back(position);
    }
    entries_.resize(position);
    for (size_t j = 0; j < width; ++j) {
      const int32_t digit = digits_[j];
      if (digit != 0) entries_[ends_[std::abs(digit)]++] = signed_index(j, digit < 0);
    }
    if (entries_.size() >= kEntriesAtOnce) flush();
  }

 private:
  void flush() {
    const size_t runs = offsets_.size() - 1;
    sums_.sum(points_, entries_.data(), offsets_.data(), runs, out_);
    out_ += runs;
    entries_.clear();
    offsets_.assign(1, 0);
  }

  const Affine* points_;
  const uint32_t buckets_;
  Affine* out_;
  RunSums sums_;
  std::vector<int32_t> digits_;
  std::vector<uint32_t> ends_;
  std::vector<uint32_t> offsets_;
  std::vector<SignedIndex> entries_;
};

// For stretches of `length` buckets: weighted = sum (i + 1) B_i and plain = sum B_i, by running sums from the
// top.
void weigh_stretches(const Affine* buckets, size_t stretches, uint32_t length, Affine* weighted,
                     Affine* plain) {
  BatchAdder adder;
  for (size_t s = 0; s < stretches; ++s) {
    weighted[s] = Affine::infinity();
    plain[s] = buckets[s * length + length - 1];
  }
  for (uint32_t i = length - 1; i-- > 0;) {
    for (size_t s = 0; s < stretches; ++s) {
      adder.add(&weighted[s], &weighted[s], &plain[s]);
      adder.add(&plain[s], &plain[s], &buckets[s * length + i]);
    }
    adder.flush();
  }
  for (size_t s = 0; s < stretches; ++s) adder.add(&weighted[s], &weighted[s], &plain[s]);
  adder.flush();
}

// sum_b b * B_b of a lane from its stretches:  sum_s weighted_s + length * sum_s s * plain_s.
Xyzz join_stretches(const Affine* weighted, const Affine* plain, size_t stretches, uint32_t length,
                    uint64_t& adds) {
  if (stretches == 1) return Xyzz::from(weighted[0]);
  Xyzz running = Xyzz::infinity();
  Xyzz sum = Xyzz::infinity();
  for (size_t s = stretches - 1; s > 0; --s) {
    running = add(running, plain[s]);
    sum = add(sum, running);
  }
  const int doublings = __builtin_ctz(length);
  sum = dbl_times(sum, doublings);
  for (size_t s = 0; s < stretches; ++s) sum = add(sum, weighted[s]);
  adds += 3 * stretches - 2 + doublings;
  count_doublings(doublings);
  return sum;
}

// Some rows at a time, so that their buckets fit in memory.
class RowBlock {
 public:
  RowBlock(const Affine* points, size_t width, const Windows& windows, uint32_t stretch)
      : points_(points),
        width_(width),
        windows_(windows),
        stretch_(stretch),
        padded_((windows.buckets + stretch - 1) / stretch * stretch) {}

  void sum(size_t first, size_t rows, const RowReader& read, Xyzz* out) {
    const size_t lanes = rows * windows_.count;
    buckets_.resize(lanes * padded_);
    fill_buckets(first, rows, read);
    weigh(lanes * (padded_ / stretch_));
    parallel_for(rows, 4, [&](size_t begin, size_t end) { join(begin, end, out); });
  }

 private:
  void fill_buckets(size_t first, size_t rows, const RowReader& read) {
    std::vector<DigitRow> digits(rows, DigitRow(0, windows_));
    const size_t grain = std::max<size_t>(1, kEntriesAtOnce / (width_ * windows_.count + 1));
    parallel_for(rows, grain, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        digits[i] = DigitRow(width_, windows_);
        read(first + i, digits[i]);
      }
    });
    const size_t lanes = rows * windows_.count;
    const size_t lane_grain = std::max<size_t>(1, kEntriesAtOnce / (width_ + 1));
    parallel_for(lanes, lane_grain, [&](size_t begin, size_t end) {
      LaneSums sums(points_, padded_, buckets_.data() + begin * padded_);
      for (size_t lane = begin; lane < end; ++lane) {
        sums.add(digits[lane / windows_.count], static_cast<int>(lane % windows_.count));
      }
    });
  }

  void weigh(size_t stretches) {
    weighted_.resize(stretches);
    plain_.resize(stretches);
    parallel_for(stretches, 64, [&](size_t begin, size_t end) {
      constexpr size_t kTogether = BatchAdder::kCapacity / 2;
      for (size_t s = begin; s < end; s += kTogether) {
        weigh_stretches(buckets_.data() + s * stretch_, std::min(kTogether, end - s), stretch_, &weighted_[s],
                        &plain_[s]);
      }
    });
  }

  // Horner's rule over the windows of a row.
  void join(size_t begin, size_t end, Xyzz* out) const {
    const size_t per_lane = padded_ / stretch_;
    uint64_t adds = 0;
    for (size_t i = begin; i < end; ++i) {
      Xyzz sum = Xyzz::infinity();
      for (int t = windows_.count; t-- > 0;) {
        const size_t s = (i * windows_.count + t) * per_lane;
        const Xyzz lane = join_stretches(&weighted_[s], &plain_[s], per_lane, stretch_, adds);
        sum = add(dbl_times(sum, windows_.bits), lane);
      }
      adds += (windows_.count - 1) * (windows_.bits + 1);
      out[i] = sum;
    }
    count_group_adds(adds);
    count_doublings((end - begin) * (windows_.count - 1) * windows_.bits);
  }

  const Affine* points_;
  const size_t width_;
  const Windows windows_;
  const uint32_t stretch_;
  const uint32_t padded_;
  std::vector<Affine> buckets_;
  std::vector<Affine> weighted_;
  std::vector<Affine> plain_;
};

}  // namespace

void set_bucket_room(size_t bytes) { bucket_room = bytes; }

void bucket_sums(const Affine* points, size_t n, size_t width, const Windows& windows, const RowReader& read,
                 Xyzz* out) {
  constexpr size_t kBucketsInMemory = size_t{1} << 20;
  const size_t lanes = n * windows.count;
  RowBlock block(points, width, windows, stretch_length(lanes, windows.buckets));
  const size_t lanes_wanted = static_cast<size_t>(threads()) * 256;
  size_t lanes_at_once = std::min(lanes_wanted, kBucketsInMemory / windows.buckets);
  if (const size_t room = bucket_room) {
    lanes_at_once = std::min(lanes_at_once, room / (windows.buckets * sizeof(Affine) + width * kDigitBytes));
  }
  const size_t rows_at_once = std::max<size_t>(1, lanes_at_once / windows.count);
  for (size_t first = 0; first < n; first += rows_at_once) {
    block.sum(first, std::min(rows_at_once, n - first), read, out + first);
  }
}

}  // namespace zkcore
