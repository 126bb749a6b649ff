// Fork-join loops over all cores.
#pragma once

#include <cstddef>
#include <functional>

namespace zkcore {

// Threads used by later loops; 0 means one per core.
void set_threads(int count);
int threads();

// Calls body(begin, end) on disjoint ranges that cover [0, n), none shorter than `grain` except the last, and
// waits for all. Ranges depend on the number of threads: results must not. A loop inside a loop, or one that
// starts while another Python thread runs one, is serial. The first exception thrown by a body is rethrown
// here.
void parallel_for(size_t n, size_t grain, const std::function<void(size_t, size_t)>& body);

}  // namespace zkcore
