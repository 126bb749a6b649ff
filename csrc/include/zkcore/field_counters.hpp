// Work done by the polynomial half, counted rather than timed: products of two field elements, and of a
// machine integer and a field element. Conversions, reductions of sums and what a call does only once or once
// a thread are left out, so that the counts do not depend on the number of threads. Each call adds its total
// once.
#pragma once

#include <atomic>
#include <cstdint>

namespace zkcore {

struct FieldCounters {
  std::atomic<uint64_t> field_mults{0};
  std::atomic<uint64_t> small_mults{0};
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
