// Suite BLS12381G1_XMD:SHA-256_SSWU_RO_ of RFC 9380: bytes to points of the prime-order subgroup that nobody
// knows a relation between.
#pragma once

#include <string>
#include <string_view>

#include "zkcore/curve.hpp"

namespace zkcore {

// Section 5.3.1. Throws std::invalid_argument for an empty tag or more than 255 blocks of output.
std::string expand_message_xmd(std::string_view message, std::string_view dst, size_t size);

// out[i] = hash_to_curve(prefix || big-endian uint64 (start + i)) under the domain separation tag `dst`.
void hash_to_curve(std::string_view dst, std::string_view prefix, uint64_t start, size_t count, Affine* out);

// One message.
Affine hash_to_curve(std::string_view dst, std::string_view message);

}  // namespace zkcore
