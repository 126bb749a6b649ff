// Square roots in Fq; p = 3 mod 4.
#pragma once

#include "zkcore/field.hpp"

namespace zkcore {

// a^((p - 3) / 4): times a it is a square root of a, if a is a square.
Fq pow_p_minus_3_over_4(const Fq& a);

// False if a is not a square.
bool sqrt(const Fq& a, Fq& root);

}  // namespace zkcore
