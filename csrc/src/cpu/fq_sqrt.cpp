#include "fq_sqrt.hpp"

namespace zkcore {

bool sqrt(const Fq& a, Fq& root) {
  root = pow_p_minus_3_over_4(a) * a;
  return root.sqr() == a;
}

}  // namespace zkcore
