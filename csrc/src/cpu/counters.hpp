// Work counted for `counters()`: group additions and doublings.
#pragma once

#include <atomic>
#include <cstdint>

namespace zkcore {

inline std::atomic<uint64_t> group_adds_done{0};

// Called once per piece of work with that piece's exact number.
inline void count_group_adds(uint64_t n) { group_adds_done.fetch_add(n, std::memory_order_relaxed); }

}  // namespace zkcore
