// Work counted for `counters()`: group additions and doublings together, and doublings by themselves. A GPU
// counts what it is set to do: an addition of a pair whose two points turn out equal is one, as is one of the
// point at infinity.
#pragma once

#include <atomic>
#include <cstdint>

namespace zkcore {

inline std::atomic<uint64_t> group_adds_done{0};

inline std::atomic<uint64_t> group_doublings_done{0};

// Called once per piece of work with that piece's exact number.
inline void count_group_adds(uint64_t n) { group_adds_done.fetch_add(n, std::memory_order_relaxed); }
// Of these, so many were doublings.
inline void count_doublings(uint64_t n) { group_doublings_done.fetch_add(n, std::memory_order_relaxed); }

}  // namespace zkcore
