#include <array>
#include <atomic>
#include <bit>

#include "batch_affine.hpp"
#include "parallel.hpp"
#include "team.hpp"
#include "zkcore/group_counters.hpp"
#include "zkcore/inverse.hpp"
#include "zkcore/msm.hpp"

namespace zkcore {

FixedBase::FixedBase(const Affine* bases, size_t count)
    : bases_(count), table_(count * kWindows * kMultiples) {
  // First multiples of all windows: B, 2^8 B, 2^16 B, ...
  std::vector<Xyzz> firsts;
  for (size_t b = 0; b < count; ++b) {
    Xyzz p = Xyzz::from(bases[b]);
    for (int t = 0; t < kWindows; ++t, p = dbl_times(p, 8)) firsts.push_back(p);
  }
  count_group_adds(8 * firsts.size());
  count_doublings(8 * firsts.size());
  std::vector<Affine> affine(firsts.size());
  to_affine(firsts.data(), affine.data(), firsts.size());
  for (size_t w = 0; w < affine.size(); ++w) table_[w * kMultiples] = affine[w];
  // From 1 .. h to 1 .. 2h: (h + i) P = h P + i P.
  BatchAdder adder;
  for (int h = 1; h < kMultiples; h *= 2) {
    for (size_t w = 0; w < affine.size(); ++w) {
      Affine* multiples = table_.data() + w * kMultiples;
      for (int i = 0; i < h; ++i) adder.add(multiples + h + i, multiples + h - 1, multiples + i);
    }
    adder.flush();
  }
}

namespace {

// Digits of a scalar, one a byte, between -127 and 128.
template <size_t N>
std::array<int, N> digits_of(const Limbs<4>& scalar) {
  std::array<int, N> digits;
  int carry = 0;
  for (size_t t = 0; t < N; ++t) {
    digits[t] = static_cast<int>(scalar.v[t / 8] >> (8 * (t % 8)) & 255) + carry;
    carry = digits[t] > 128;  // never from the top byte: scalars are below 2^255
    if (carry) digits[t] -= 256;
  }
  return digits;
}

}  // namespace

// The windows [first, last) of one base.
Xyzz FixedBase::add_windows(Xyzz sum, size_t base, const int* digits, int first, int last,
                            uint64_t& adds) const {
  for (int t = first; t < last; ++t) {
    const Affine* window = table_.data() + (base * kWindows + static_cast<size_t>(t)) * kMultiples;
    const int digit = digits[t];
    if (digit == 0) continue;
    sum = digit > 0 ? add(sum, window[digit - 1]) : add(sum, -window[-digit - 1]);
    ++adds;
  }
  return sum;
}

Xyzz FixedBase::accumulate(Xyzz sum, size_t base, const Limbs<4>& scalar, uint64_t& adds) const {
  return add_windows(sum, base, digits_of<kWindows>(scalar).data(), 0, kWindows, adds);
}

void FixedBase::add_blinds(Xyzz* sums, const Fr* blinds, size_t n, Affine* out, bool in_team) const {
  constexpr size_t kGrain = 16;
  const auto some = [&](size_t begin, size_t end) {
    uint64_t adds = 0;
    for (size_t i = begin; i < end; ++i) sums[i] = accumulate(sums[i], 0, blinds[i].to_limbs(), adds);
    count_group_adds(adds);
  };
  if (in_team && n > 1 && n < kGrain * kTeamPieces) {
    team_run([&](int piece) {
      const auto k = static_cast<size_t>(piece);
      some(n * k / kTeamPieces, n * (k + 1) / kTeamPieces);
    });
    to_affine(sums, out, n);
    return;
  }
  parallel_for(n, kGrain, [&](size_t begin, size_t end) {
    some(begin, end);
    to_affine(&sums[begin], out + begin, end - begin);
  });
}

namespace {

// A sum of what the pieces of a team's job leave, by pairs: who is the second of a pair adds.
class JoinedPieces {
 public:
  void leave(int piece, const Xyzz& own) {
    sums_[static_cast<size_t>(piece)] = own;
    auto left = static_cast<size_t>(piece);
    size_t node = kPieces + left;  // of a binary tree: 1 is the root, 2 i and 2 i + 1 are below i
    for (size_t apart = 1; node > 1; apart *= 2) {
      node /= 2;
      if (!one_left_[node].exchange(true, std::memory_order_acq_rel)) return;
      left = left / (2 * apart) * (2 * apart);
      sums_[left] = add(sums_[left], sums_[left + apart]);
    }
  }
  const Xyzz& sum() const { return sums_[0]; }  // when all pieces have left theirs

 private:
  static constexpr auto kPieces = static_cast<size_t>(kTeamPieces);
  static_assert(std::has_single_bit(kPieces));
  std::array<Xyzz, kPieces> sums_;
  std::array<std::atomic<bool>, kPieces> one_left_{};  // by node
};

}  // namespace

Affine FixedBase::combine(const Fr* scalars, size_t count, bool in_team) const {
  Xyzz sum = Xyzz::infinity();
  uint64_t adds = 0;
  if (in_team && count > 1) {
    JoinedPieces sums;
    std::array<uint64_t, kTeamPieces> own{};
    std::vector<std::array<int, kWindows>> digits;
    for (size_t b = 0; b < count; ++b) digits.push_back(digits_of<kWindows>(scalars[b].to_limbs()));
    constexpr int kEach = kWindows / kTeamPieces;
    team_run([&](int piece) {
      Xyzz part = Xyzz::infinity();
      for (size_t b = 0; b < count; ++b) {
        part = add_windows(part, b, digits[b].data(), piece * kEach, (piece + 1) * kEach,
                           own[static_cast<size_t>(piece)]);
      }
      sums.leave(piece, part);
    });
    sum = sums.sum();
    for (const uint64_t some : own) adds += some;
  } else {
    for (size_t b = 0; b < count; ++b) sum = accumulate(sum, b, scalars[b].to_limbs(), adds);
  }
  count_group_adds(adds);
  Affine out;
  to_affine(&sum, &out, 1);
  return out;
}

}  // namespace zkcore
