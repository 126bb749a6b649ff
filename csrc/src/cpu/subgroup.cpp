#include "subgroup.hpp"

#include <algorithm>
#include <atomic>
#include <vector>

#include "batch_affine.hpp"
#include "parallel.hpp"
#include "zkcore/endomorphism.hpp"
#include "zkcore/group_counters.hpp"

namespace zkcore {
namespace {

constexpr size_t kBytes = 16;       // of random bits for a point: one for every sum
constexpr uint32_t kBuckets = 255;  // values of a byte but 0
constexpr size_t kChunk = 1 << 13;  // points worked on together

// Bits k of bytes [point][t] say whether the point takes part in sum 8 t + k.
std::vector<uint8_t> random_bytes(size_t n, const Sha256::Digest& seed) {
  std::vector<uint8_t> bytes(n * kBytes);
  parallel_for((n + 1) / 2, 256, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      std::array<uint8_t, 8> number;
      for (int k = 0; k < 8; ++k) number[k] = static_cast<uint8_t>(i >> (56 - 8 * k));
      const Sha256::Digest digest = Sha256().update(seed).update(number).digest();
      std::copy_n(digest.begin(), std::min(2 * kBytes, bytes.size() - 2 * kBytes * i),
                  &bytes[2 * kBytes * i]);
    }
  });
  return bytes;
}

// Sums 8 t .. 8 t + 7 over some points: by the value of byte t, then by its bits.
class Sums {
 public:
  void add(const Affine* points, size_t n, const uint8_t* bytes, Affine* out) {
    offsets_.assign(kBuckets + 1, 0);
    for (size_t i = 0; i < n; ++i) {
      if (bytes[i * kBytes] != 0) ++offsets_[bytes[i * kBytes]];
    }
    for (uint32_t b = 1; b <= kBuckets; ++b) offsets_[b] += offsets_[b - 1];
    entries_.resize(offsets_[kBuckets]);
    next_.assign(offsets_.begin(), offsets_.end() - 1);
    for (size_t i = 0; i < n; ++i) {
      if (const uint8_t b = bytes[i * kBytes]) entries_[next_[b - 1]++] = signed_index(i, false);
    }
    runs_.sum(points, entries_.data(), offsets_.data(), kBuckets, buckets_.data());
    entries_.clear();
    offsets_.assign(1, 0);
    for (int k = 0; k < 8; ++k) {
      for (uint32_t b = 1; b <= kBuckets; ++b) {
        if (b >> k & 1) entries_.push_back(signed_index(b - 1, false));
      }
      offsets_.push_back(static_cast<uint32_t>(entries_.size()));
    }
    runs_.sum(buckets_.data(), entries_.data(), offsets_.data(), 8, out);
  }

 private:
  RunSums runs_;
  std::vector<SignedIndex> entries_;
  std::vector<uint32_t> offsets_, next_;
  std::vector<Affine> buckets_ = std::vector<Affine>(kBuckets);
};

}  // namespace

bool all_in_subgroup(const Affine* points, size_t n, const Sha256::Digest& seed) {
  const std::vector<uint8_t> bytes = random_bytes(n, seed);
  const size_t chunks = (n + kChunk - 1) / kChunk;
  std::vector<Affine> parts(chunks * 8 * kBytes);
  parallel_for(chunks * kBytes, 1, [&](size_t begin, size_t end) {
    Sums sums;
    for (size_t task = begin; task < end; ++task) {
      const size_t first = task / kBytes * kChunk;
      sums.add(points + first, std::min(kChunk, n - first), &bytes[first * kBytes + task % kBytes],
               &parts[8 * task]);
    }
  });
  std::atomic<bool> good{true};
  parallel_for(8 * kBytes, 4, [&](size_t begin, size_t end) {
    for (size_t s = begin; s < end; ++s) {
      Xyzz sum = Xyzz::infinity();
      for (size_t c = 0; c < chunks; ++c) sum = add(sum, Xyzz::from(parts[c * 8 * kBytes + s]));
      Affine plain;
      to_affine(&sum, &plain, 1);
      if (!plain.is_infinity() && !in_subgroup(plain)) good = false;
    }
    count_group_adds((end - begin) * (chunks - 1 + 2 * kMulByParameterAdds));
  });
  return good;
}

}  // namespace zkcore
