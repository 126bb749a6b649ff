// The verifier's side of a sumcheck: what was sent is hashed, challenges are drawn, and the claim is followed
// to the end, for all rounds at once.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "zkcore/field.hpp"
#include "zkcore/sha2.hpp"

namespace zkcore {

// A hash chain: state' = SHA-512(before || state || item). The caller frames.
struct RoundFrames {
  std::string_view before;     // in front of the state
  std::string_view message;    // behind it, and in front of each piece of a message
  std::string_view challenge;  // behind it, where a challenge is drawn: the new state, big-endian, mod r
};

// Rounds of `pieces` pieces each, which are absorbed one by one; then the round's challenge is drawn. Returns
// the challenges, and leaves the state that comes after.
std::vector<Fr> draw_rounds(Sha512::Digest& state, const RoundFrames& frames, std::string_view messages,
                            size_t rounds, size_t pieces);

// The weights of the values at 0, 1, ..., degree in the value at x. 1 <= degree <= kMaxDegree.
std::vector<Fr> lagrange(const Fr& x, size_t degree);

// Round i sends the values s_i(0), s_i(2), ..., s_i(degree) of a polynomial whose s_i(1) is the claim before
// it less s_i(0); the claim after it is s_i(challenge i). Returns [challenges * degree + 1]: the last claim's
// coefficients in what the rounds sent, in order, and in the first claim. 1 <= degree <= kMaxDegree.
std::vector<Fr> fold_rounds(std::span<const Fr> challenges, size_t degree);

}  // namespace zkcore
