// Affine additions in batches: with the inversions of a batch shared (Montgomery's trick), an addition costs
// 5M + 1S and yields a normal affine point, against 8M + 2S for a mixed XYZZ addition.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "zkcore/curve.hpp"

namespace zkcore {

// values[i] <- 1 / values[i]; zero stays zero.
void batch_inverse(Fq* values, size_t n);

// out[i] <- the affine form of points[i]; infinity becomes (0, 0).
void to_affine(const Xyzz* points, Affine* out, size_t n);

// Queues additions and carries them out together. All operands of a batch are read before, or at, the turn of
// the operation in queueing order: an operation may overwrite operands of EARLIER ones of its batch, and must
// not use the result of an operation that is still queued.
class BatchAdder {
 public:
  static constexpr int kCapacity = 512;

  BatchAdder();
  ~BatchAdder();
  BatchAdder(const BatchAdder&) = delete;
  BatchAdder& operator=(const BatchAdder&) = delete;

  // *out <- (+-)*a (+-)*b.
  void add(Affine* out, const Affine* a, bool negate_a, const Affine* b, bool negate_b) {
    if (size_ == kCapacity) flush();
    operations_[size_++] = {a, b, out, negate_a, negate_b, Kind::kAdd};
  }
  void add(Affine* out, const Affine* a, const Affine* b) { add(out, a, false, b, false); }
  // *out <- 2 *a.
  void dbl(Affine* out, const Affine* a) { add(out, a, false, a, false); }
  // *out <- (+-)*a, in turn.
  void copy(Affine* out, const Affine* a, bool negate) {
    if (size_ == kCapacity) flush();
    operations_[size_++] = {a, nullptr, out, negate, false, Kind::kCopyA};
  }
  void flush();

 private:
  enum class Kind : uint8_t { kAdd, kDouble, kCopyA, kCopyB, kInfinity };
  struct Operation {
    const Affine* a;
    const Affine* b;
    Affine* out;
    bool negate_a, negate_b;
    Kind kind;
  };

  // Decides the kind; the slope's denominator goes to `denominator` for additions and doublings.
  static Kind classify(const Operation& op, Fq& denominator);
  static void apply(const Operation& op, const Fq& inverse);

  int size_ = 0;
  uint64_t done_ = 0, doublings_ = 0;
  std::unique_ptr<Operation[]> operations_;
  std::unique_ptr<Fq[]> denominators_;
  std::unique_ptr<Fq[]> suffixes_;
};

// An index into an array of points with a sign in the lowest bit.
using SignedIndex = uint32_t;
inline SignedIndex signed_index(size_t index, bool negative) {
  return static_cast<SignedIndex>(2 * index + (negative ? 1 : 0));
}

// Sums of runs of signed points: out[s] = sum of entries[offsets[s]] .. entries[offsets[s + 1] - 1]. Pairs
// are added in rounds, so that the additions of a round do not depend on each other.
class RunSums {
 public:
  void sum(const Affine* points, const SignedIndex* entries, const uint32_t* offsets, size_t runs,
           Affine* out);

 private:
  BatchAdder adder_;
  std::vector<Affine> buffer_;
  std::vector<uint32_t> lengths_;
};

}  // namespace zkcore
