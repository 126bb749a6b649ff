// A few threads that stay awake between jobs too short for a parallel loop: waking a sleeper takes longer
// than the job.
#pragma once

#include <cstddef>
#include <functional>

namespace zkcore {

inline constexpr int kTeamPieces =
    16;  // a power of two; more than threads, so that none waits long for the last

// Calls body(piece) for the pieces 0 .. kTeamPieces - 1, some of them on threads that look out for work for a
// while after the last job and then sleep. With few cores all are the caller's. `body` must not throw. One
// caller at a time; another one works alone.
void team_run(const std::function<void(int)>& body);

}  // namespace zkcore
