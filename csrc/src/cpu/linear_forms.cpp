#include "zkcore/linear_forms.hpp"

#include "zkcore/field_counters.hpp"

namespace zkcore {

void LinearForms::run(Fr* numbers) const {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    Fr total = Fr::zero();
    for (size_t t = starts_[i]; t < starts_[i + 1]; ++t) total += coefficients_[t] * numbers[sources_[t]];
    numbers[nodes_[i]] = total;
  }
  count_field_mults(coefficients_.size());
}

void LinearForms::transposed(Fr* numbers) const {
  for (size_t i = nodes_.size(); i-- > 0;) {
    const Fr weight = numbers[nodes_[i]];
    numbers[nodes_[i]] = Fr::zero();
    for (size_t t = starts_[i]; t < starts_[i + 1]; ++t) numbers[sources_[t]] += coefficients_[t] * weight;
  }
  count_field_mults(coefficients_.size());
}

void LinearForms::reach(uint8_t* read) const {
  for (size_t i = nodes_.size(); i-- > 0;) {
    if (!read[nodes_[i]]) continue;
    for (size_t t = starts_[i]; t < starts_[i + 1]; ++t) read[sources_[t]] = 1;
  }
}

}  // namespace zkcore
