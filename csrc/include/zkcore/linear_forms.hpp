// Linear forms over numbers that came before them: a straight-line program without products, run from the
// first form to the last, or transposed, from the last to the first (Bordewijk's transposition principle;
// Buergisser, Clausen, Shokrollahi, Algebraic Complexity Theory, section 13.4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "zkcore/field.hpp"

namespace zkcore {

class LinearForms {
 public:
  // Form i is number nodes[i]: the sum over t in [starts[i], starts[i + 1]) of coefficients[t] * number
  // sources[t]. Nodes increase; sources are smaller than their node.
  LinearForms(std::vector<size_t> nodes, std::vector<size_t> starts, std::vector<size_t> sources,
              std::vector<Fr> coefficients)
      : nodes_(std::move(nodes)),
        starts_(std::move(starts)),
        sources_(std::move(sources)),
        coefficients_(std::move(coefficients)) {}

  // Every form's number becomes what the form says.
  void run(Fr* numbers) const;
  // The transposed map: every form's number goes to its sources, with the coefficients, and becomes zero.
  void transposed(Fr* numbers) const;
  // Whatever a form marked in `read` is over is marked, too; a coefficient of zero counts.
  void reach(uint8_t* read) const;

 private:
  std::vector<size_t> nodes_, starts_, sources_;
  std::vector<Fr> coefficients_;
};

}  // namespace zkcore
