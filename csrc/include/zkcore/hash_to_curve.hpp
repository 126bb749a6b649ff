// Suite BLS12381G1_XMD:SHA-256_SSWU_RO_ of RFC 9380: bytes to points of the prime-order subgroup that nobody
// knows a relation between.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "zkcore/curve_map.hpp"

namespace zkcore {

// Section 5.3.1. Throws std::invalid_argument for an empty tag or more than 255 blocks of output.
std::string expand_message_xmd(std::string_view message, std::string_view dst, size_t size);

// out[i] = hash_to_curve(prefix || big-endian uint64 (start + i)) under the domain separation tag `dst`.
void hash_to_curve(std::string_view dst, std::string_view prefix, uint64_t start, size_t count, Affine* out);

// Section 5.2: what map_pair takes to out[i] of the above.
using FieldPair = std::array<Fq, 2>;
void hash_to_field(std::string_view dst, std::string_view prefix, uint64_t start, size_t count,
                   FieldPair* out);
const CurveMap& curve_map();

// One message.
Affine hash_to_curve(std::string_view dst, std::string_view message);

}  // namespace zkcore
