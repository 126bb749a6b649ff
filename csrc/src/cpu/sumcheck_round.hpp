// One round of sumcheck: the sum over all pairs, at every evaluation point.
#pragma once

#include "zkcore/sumcheck.hpp"

namespace zkcore {

struct RoundInput {
  const TableSource& source;
  std::span<const SumcheckTerm> terms;
  int degree;
  const SplitEq* eq;  // null without the factor eq
  size_t half;        // pairs are (x, x + half)
  size_t active;      // pairs from here on are constant, and left out
};

// sum_{x < active} E(x) * sum_k c_k * prod_j table_j(X, x) at X = 0, 2, 3, ..., degree, where E is the
// product of the tables of `eq`, or 1.
std::vector<Fr> sum_pairs(const RoundInput& input);

}  // namespace zkcore
