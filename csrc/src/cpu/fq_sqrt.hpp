// Square roots in Fq; p = 3 mod 4.
#pragma once

#include "zkcore/curve_map.hpp"

namespace zkcore {

// False if a is not a square.
bool sqrt(const Fq& a, Fq& root);

}  // namespace zkcore
