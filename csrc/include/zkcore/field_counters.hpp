// Work done by the polynomial half, counted rather than timed. Each call adds its total once, not once per product.
#pragma once

#include <atomic>
#include <cstdint>

namespace zkcore {

struct FieldCounters {
  std::atomic<uint64_t> field_mults{0};  // full products of two field elements
  std::atomic<uint64_t> small_mults{0};  // products of a machine integer and a field element
};

inline FieldCounters& field_counters() {
  static FieldCounters counters;
  return counters;
}

inline void count_field_mults(uint64_t n) {
  field_counters().field_mults.fetch_add(n, std::memory_order_relaxed);
}
inline void count_small_mults(uint64_t n) {
  field_counters().small_mults.fetch_add(n, std::memory_order_relaxed);
}

}  // namespace zkcore
