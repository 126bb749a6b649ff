#include "zkcore/rounds.hpp"

#include "zkcore/field_counters.hpp"
#include "zkcore/inverse.hpp"
#include "zkcore/sumcheck.hpp"

namespace zkcore {
namespace {

// A digest as a big-endian integer, mod r.
Fr reduced(const Sha512::Digest& digest) {
  Limbs<4> low{}, high{};
  for (size_t i = 0; i < 32; ++i) {
    low.v[i / 8] |= static_cast<uint64_t>(digest[63 - i]) << (8 * (i % 8));
    high.v[i / 8] |= static_cast<uint64_t>(digest[31 - i]) << (8 * (i % 8));
  }
  return Fr::from_integer(low) + Fr::from_integer(high) * Fr::r_squared();  // the latter stands for 2^256
}

// ---- Lagrange weights for values at 0, 1, ..., degree

// 1 / prod over j != i of (i - j) = (-1)^(degree - i) binomial(degree, i) / degree!
std::vector<Fr> barycentric(size_t degree) {
  Fr factorial = Fr::one();
  for (size_t i = 2; i <= degree; ++i) factorial *= Fr::from_uint64(i);
  const Fr common = inverse(factorial);
  std::vector<Fr> scale(degree + 1);
  int64_t binomial = 1;  // of degree and i, with a sign
  for (size_t i = degree + 1; i-- > 0;) {
    scale[i] = common * Fr::from_int64(binomial);
    binomial = -binomial * static_cast<int64_t>(i) / static_cast<int64_t>(degree - i + 1);
  }
  return scale;
}

// By degree: an inversion takes as long as a few rounds.
const std::vector<Fr>& scales(size_t degree) {
  static const auto known = [] {
    std::array<std::vector<Fr>, kMaxDegree + 1> all;
    for (size_t d = 0; d < all.size(); ++d) all[d] = barycentric(d);
    return all;
  }();
  return known[degree];
}

void lagrange(const Fr& x, const std::vector<Fr>& scale, Fr* weights) {
  Fr below = Fr::one(), above = Fr::one();  // products of x - j for j < i, and for j > i
  for (size_t i = 0; i < scale.size(); ++i) {
    weights[i] = scale[i] * below;
    below *= x - Fr::from_uint64(i);
  }
  for (size_t i = scale.size(); i-- > 0;) {
    weights[i] *= above;
    above *= x - Fr::from_uint64(i);
  }
}

}  // namespace

std::vector<Fr> draw_rounds(Sha512::Digest& state, const RoundFrames& frames, std::string_view messages,
                            size_t rounds, size_t pieces) {
  std::vector<Fr> challenges(rounds);
  const size_t size = rounds ? messages.size() / (rounds * pieces) : 0;
  for (size_t i = 0; i < rounds; ++i) {
    for (size_t j = 0; j < pieces; ++j) {
      const std::string_view piece = messages.substr((i * pieces + j) * size, size);
      state = Sha512().update(frames.before).update(state).update(frames.message).update(piece).digest();
    }
    state = Sha512().update(frames.before).update(state).update(frames.challenge).digest();
    challenges[i] = reduced(state);
  }
  count_field_mults(3 * rounds);
  return challenges;
}

std::vector<Fr> lagrange(const Fr& x, size_t degree) {
  std::vector<Fr> weights(degree + 1);
  lagrange(x, scales(degree), weights.data());
  return weights;
}

std::vector<Fr> fold_rounds(std::span<const Fr> challenges, size_t degree) {
  const std::vector<Fr>& scale = scales(degree);
  std::vector<Fr> weights(degree + 1), out(challenges.size() * degree + 1);
  Fr later = Fr::one();  // the last claim's coefficient in the claim after round i
  for (size_t i = challenges.size(); i-- > 0;) {
    lagrange(challenges[i], scale, weights.data());
    Fr* own = out.data() + i * degree;
    own[0] = later * (weights[0] - weights[1]);
    for (size_t j = 2; j <= degree; ++j) own[j - 1] = later * weights[j];
    later *= weights[1];
  }
  out.back() = later;
  count_field_mults(challenges.size() * (4 * degree + 3));
  return out;
}

}  // namespace zkcore
