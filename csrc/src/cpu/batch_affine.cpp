#include "batch_affine.hpp"

#include "zkcore/group_counters.hpp"
#include "zkcore/inverse.hpp"

namespace zkcore {

void batch_inverse(Fq* values, size_t n) {
  std::vector<Fq> prefix(n);
  Fq product = Fq::one();
  for (size_t i = 0; i < n; ++i) {
    prefix[i] = product;
    if (!values[i].is_zero()) product *= values[i];
  }
  Fq inverted = inverse(product);
  for (size_t i = n; i-- > 0;) {
    if (values[i].is_zero()) continue;
    const Fq value = values[i];
    values[i] = inverted * prefix[i];
    inverted *= value;
  }
}

void to_affine(const Xyzz* points, Affine* out, size_t n) {
  std::vector<Fq> inverses(n);
  for (size_t i = 0; i < n; ++i) inverses[i] = points[i].zzz;
  batch_inverse(inverses.data(), n);
  for (size_t i = 0; i < n; ++i) {
    // ZZ / ZZZ = 1 / Z.
    const Fq& izzz = inverses[i];
    const Fq iz = izzz * points[i].zz;
    out[i] = {points[i].x * iz.sqr(), points[i].y * izzz};
  }
}

BatchAdder::BatchAdder()
    : operations_(new Operation[kCapacity]),
      denominators_(new Fq[kCapacity]),
      suffixes_(new Fq[kCapacity + 1]) {}

BatchAdder::~BatchAdder() {
  count_group_adds(done_);
  count_doublings(doublings_);
}

BatchAdder::Kind BatchAdder::classify(const Operation& op, Fq& denominator) {
  if (op.b == nullptr || op.b->is_infinity()) return Kind::kCopyA;
  if (op.a->is_infinity()) return Kind::kCopyB;
  denominator = op.b->x - op.a->x;
  if (!denominator.is_zero()) return Kind::kAdd;
  // Same x: y is the same or opposite (and never zero).
  const bool same_y = op.a->y == op.b->y;
  if (same_y != (op.negate_a == op.negate_b)) return Kind::kInfinity;
  denominator = (op.negate_a ? -op.a->y : op.a->y).dbl();
  return Kind::kDouble;
}

void BatchAdder::apply(const Operation& op, const Fq& inverse) {
  const Fq x = op.a->x;
  const Fq y = op.negate_a ? -op.a->y : op.a->y;
  Fq slope, other_x;
  if (op.kind == Kind::kAdd) {
    other_x = op.b->x;
    slope = ((op.negate_b ? -op.b->y : op.b->y) - y) * inverse;
  } else {
    const Fq xx = x.sqr();
    other_x = x;
    slope = (xx.dbl() + xx) * inverse;
  }
  const Fq sum_x = slope.sqr() - x - other_x;
  op.out->x = sum_x;
  op.out->y = slope * (x - sum_x) - y;
}

// Products are taken from the back so that the operations can be carried out from the front.
void BatchAdder::flush() {
  if (size_ == 0) return;
  suffixes_[size_] = Fq::one();
  uint64_t additions = 0;
  for (int i = size_; i-- > 0;) {
    Operation& op = operations_[i];
    if (op.kind == Kind::kAdd) op.kind = classify(op, denominators_[i]);
    const bool inverts = op.kind == Kind::kAdd || op.kind == Kind::kDouble;
    suffixes_[i] = inverts ? suffixes_[i + 1] * denominators_[i] : suffixes_[i + 1];
    additions += inverts;
    doublings_ += op.kind == Kind::kDouble;
    if (i >= 8) {
      // Operands are gathered from large tables.
      __builtin_prefetch(operations_[i - 8].a);
      __builtin_prefetch(operations_[i - 8].b);
    }
  }
  done_ += additions;
  Fq inverted = additions ? inverse(suffixes_[0]) : Fq::one();
  for (int i = 0; i < size_; ++i) {
    const Operation& op = operations_[i];
    switch (op.kind) {
      case Kind::kAdd:
      case Kind::kDouble:
        apply(op, inverted * suffixes_[i + 1]);
        inverted *= denominators_[i];
        break;
      case Kind::kCopyA:
        *op.out = op.negate_a ? -*op.a : *op.a;
        break;
      case Kind::kCopyB:
        *op.out = op.negate_b ? -*op.b : *op.b;
        break;
      case Kind::kInfinity:
        *op.out = Affine::infinity();
        break;
    }
  }
  size_ = 0;
}

void RunSums::sum(const Affine* points, const SignedIndex* entries, const uint32_t* offsets, size_t runs,
                  Affine* out) {
  // First round: gather from `points`. Later rounds: compact `buffer_` in place.
  lengths_.resize(runs);
  size_t total = 0;
  uint32_t longest = 0;
  for (size_t s = 0; s < runs; ++s) {
    const uint32_t length = offsets[s + 1] - offsets[s];
    lengths_[s] = (length + 1) / 2;
    longest = longest < lengths_[s] ? lengths_[s] : longest;
    total += lengths_[s];
  }
  if (buffer_.size() < total) buffer_.resize(total);
  Affine* to = buffer_.data();
  for (size_t s = 0; s < runs; ++s) {
    uint32_t i = offsets[s];
    for (; i + 1 < offsets[s + 1]; i += 2) {
      adder_.add(to++, points + entries[i] / 2, entries[i] & 1, points + entries[i + 1] / 2,
                 entries[i + 1] & 1);
    }
    if (i < offsets[s + 1]) adder_.copy(to++, points + entries[i] / 2, entries[i] & 1);
  }
  adder_.flush();
  while (longest > 1) {
    longest = (longest + 1) / 2;
    const Affine* from = buffer_.data();
    to = buffer_.data();
    for (size_t s = 0; s < runs; ++s) {
      const uint32_t length = lengths_[s];
      for (uint32_t i = 0; i + 1 < length; i += 2) adder_.add(to++, from + i, from + i + 1);
      if (length & 1) adder_.copy(to++, from + length - 1, false);
      from += length;
      lengths_[s] = (length + 1) / 2;
    }
    adder_.flush();
  }
  const Affine* from = buffer_.data();
  for (size_t s = 0; s < runs; ++s) {
    out[s] = lengths_[s] ? *from++ : Affine::infinity();
  }
}

}  // namespace zkcore
