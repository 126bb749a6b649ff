// Whether many points of the curve lie in the subgroup of order r, by random subset sums.
#pragma once

#include <cstddef>

#include "zkcore/curve.hpp"
#include "zkcore/sha2.hpp"

namespace zkcore {

// Fewer points than this are checked faster one by one.
inline constexpr size_t kSubgroupBatch = 512;

// Every point of the curve is Q + T with Q in the subgroup and T in one whose order is prime to r. A sum over
// a random half of the points lies in the subgroup with probability 1/2 at most if some T is not zero: adding
// or leaving out that point changes the sum's own T. So 128 sums miss with probability 2^-128 at most
// (Bellare, Garay, Rabin, "Fast batch verification", EUROCRYPT 1998, small exponents of one bit). Which
// halves follows from `seed`, which must depend on all points. The sums share additions: 16 for a point,
// where a check by itself takes 136 in more expensive coordinates.
bool all_in_subgroup(const Affine* points, size_t n, const Sha256::Digest& seed);

}  // namespace zkcore
