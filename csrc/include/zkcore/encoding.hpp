// The compressed form of G1 points used by Zcash and Ethereum: 48 bytes, x big-endian with three flags on
// top: 0x80 compressed (always set), 0x40 infinity, 0x20 y is the larger of the two roots.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include "zkcore/curve.hpp"

namespace zkcore {

inline constexpr size_t kEncodedBytes = 48;

void encode_points(const Affine* points, size_t n, uint8_t* out);

// Throws std::invalid_argument "point I: reason", for the first bad I, unless every encoding is the canonical
// one of a point of the prime-order subgroup. Infinity is such a point.
void decode_points(const uint8_t* data, size_t n, Affine* out);

}  // namespace zkcore
