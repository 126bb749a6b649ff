// Many sumchecks, over cubes of different sizes, as one; zkcore/subprotocols/side_by_side.py says what they
// add up to. Each part's sum is known: what it sends at more points than its own degree follows from it.
#pragma once

#include <array>
#include <stdexcept>
#include <utility>
#include <vector>

#include "zkcore/inverse.hpp"
#include "zkcore/rounds.hpp"
#include "zkcore/sumcheck.hpp"

namespace zkcore {

// A P has round() -> values at 0, 2, ..., its degree, bind(challenge), and variables() that are unbound.
template <class P>
class SideBySide {
 public:
  struct Part {
    P* prover;
    Fr claim;  // of what is left to sum
    size_t degree;
  };
  SideBySide(const std::vector<Part>& parts, size_t degree) : degree_(degree) {
    for (const Part& part : parts) parts_.push_back({part, {}, part.claim * half()});
    for (size_t d = 1; d <= degree; ++d) {
      for (size_t x = d + 1; x <= degree; ++x) beyond_[d].push_back(lagrange(Fr::from_uint64(x), d));
    }
  }

  // At 0, 2, ..., degree.
  std::vector<Fr> round() {
    std::vector<Fr> sums(degree_, Fr::zero());
    for (Running& part : parts_) {
      if (part.prover->variables() == 0) {
        for (Fr& sum : sums) sum += part.constant;
        continue;
      }
      const std::vector<Fr> sent = part.prover->round();
      part.values = {sent[0], part.claim - sent[0]};
      part.values.insert(part.values.end(), sent.begin() + 1, sent.end());
      for (size_t i = 0; i < sent.size(); ++i) sums[i] += sent[i];
      for (size_t i = 0; i < beyond_[part.degree].size(); ++i)
        sums[part.degree + i] += dot(beyond_[part.degree][i], part.values);
    }
    return sums;
  }

  // After round().
  void bind(const Fr& challenge) {
    std::vector<Running*> bound;
    for (Running& part : parts_) {
      if (part.prover->variables() == 0) {
        part.constant *= half();
        continue;
      }
      if (part.values.empty()) throw std::logic_error("bind comes after round");
      part.prover->bind(challenge);  // a GPU begins with the next round
      bound.push_back(&part);
    }
    std::array<std::vector<Fr>, kMaxDegree + 1> weights;
    for (Running* part : bound) {
      std::vector<Fr>& own = weights[part->degree];
      if (own.empty()) own = lagrange(challenge, part->degree);
      part->claim = dot(own, part->values);
      part->constant = part->claim * half();
      part->values.clear();
    }
  }

  std::vector<Fr> claims() const {
    std::vector<Fr> out;
    for (const Running& part : parts_) out.push_back(part.claim);
    return out;
  }

 private:
  struct Running : Part {
    std::vector<Fr> values;  // of this round at 0, 1, ..., degree
    Fr constant;             // in every value, once nothing is unbound: it halves in each round
  };

  static const Fr& half() {
    static const Fr value = inverse(Fr::from_uint64(2));
    return value;
  }
  static Fr dot(const std::vector<Fr>& weights, const std::vector<Fr>& values) {
    Fr total = Fr::zero();
    for (size_t i = 0; i < weights.size(); ++i) total += weights[i] * values[i];
    return total;
  }

  std::vector<Running> parts_;
  size_t degree_;
  std::array<std::vector<std::vector<Fr>>, kMaxDegree + 1> beyond_;  // weights at degree + 1, ...
};

}  // namespace zkcore
