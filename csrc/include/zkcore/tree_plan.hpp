// What a fraction tree may hold; zkcore/field/room.py makes the plan. Less memory is more work, for the same
// values.
#pragma once

#include <algorithm>
#include <cstddef>

namespace zkcore {

// `stored_layers` from the root are kept; the others are computed from the leaves for every round until the
// layer has at most `most` entries left, which are held then. An entry is a parent's four tables. A GPU
// computes a stretch of `chunk` entries at a time; the host only ever a few.
struct TreePlan {
  int stored_layers;
  size_t most;
  size_t chunk;

  // The depth of the last layer that is kept, of a tree whose leaves lie at log_size > 1.
  size_t stored(size_t log_size) const {
    return std::clamp<size_t>(static_cast<size_t>(std::max(stored_layers, 1)), 1, log_size - 1);
  }

  // Rounds in which a layer is made again: 2^variables parents of which `used` have leaves under them. While
  // all of it is held, there is room for what it is bound to. Leaves are bound as they are read.
  size_t rounds(size_t variables, size_t used, bool leaves) const {
    const auto left = [&](size_t bound) { return std::min(size_t{1} << (variables - bound), used); };
    if (variables < 2 || (!leaves && used <= most && left(1) <= most - used)) return 0;
    size_t rounds = 1;
    while (rounds + 1 < variables && left(rounds) > most) ++rounds;
    return rounds;
  }
};

}  // namespace zkcore
