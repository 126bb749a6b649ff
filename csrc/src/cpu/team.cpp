#include "team.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "parallel.hpp"

namespace zkcore {
namespace {

constexpr int kLeastThreads = 4;  // below, helpers would only take the caller's core
constexpr auto kLookOut = std::chrono::microseconds(400);

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// A job is claimed piece by piece: `claims_` holds its number and the next piece in one word, so that a
// helper that comes late never works on a job with the data of another. The caller leaves a job only when
// every claimed piece is done. A team is never destroyed: its threads end with the process.
class Team {
 public:
  explicit Team(int helpers) : pid_(getpid()) {
    for (int i = 0; i < helpers; ++i) std::thread([this] { serve(); }).detach();
  }
  bool survives() const { return pid_ == getpid(); }

  void run(const std::function<void(int)>& body) {
    body_ = &body;
    done_.store(0, std::memory_order_relaxed);
    ++job_;
    claims_.store(job_ << 32, std::memory_order_release);
    number_.store(static_cast<uint32_t>(job_), std::memory_order_release);
    number_.notify_all();
    work();
    while (done_.load(std::memory_order_acquire) < kTeamPieces) pause();
  }

 private:
  void work() {
    for (;;) {
      const uint64_t piece = claims_.fetch_add(1, std::memory_order_acq_rel) & 0xffffffffu;
      if (piece >= static_cast<uint64_t>(kTeamPieces)) return;
      (*body_)(static_cast<int>(piece));
      done_.fetch_add(1, std::memory_order_release);
    }
  }

  void serve() {
    uint32_t seen = 0;
    for (;;) {
      const auto until = std::chrono::steady_clock::now() + kLookOut;
      uint32_t now = number_.load(std::memory_order_acquire);
      for (int i = 0; now == seen; ++i) {
        pause();
        now = number_.load(std::memory_order_acquire);
        if (i % 256 == 255 && std::chrono::steady_clock::now() > until) number_.wait(seen);
      }
      seen = now;
      work();
    }
  }

  const pid_t pid_;
  const std::function<void(int)>* body_ = nullptr;
  uint64_t job_ = 0;
  std::atomic<uint64_t> claims_{uint64_t{kTeamPieces}};  // number of the job << 32 | next piece
  std::atomic<uint32_t> number_{0};
  std::atomic<int> done_{0};
};

std::atomic_flag team_taken = ATOMIC_FLAG_INIT;

// The team of this process, as for the pool of parallel.cpp.
Team* team() {
  static Team* held = nullptr;
  if (held != nullptr && !held->survives()) held = nullptr;
  if (held == nullptr && threads() >= kLeastThreads)
    held = new Team(std::min(kTeamPieces, threads() / 2) - 1);
  return held;
}

}  // namespace

void team_run(const std::function<void(int)>& body) {
  if (!team_taken.test_and_set(std::memory_order_acquire)) {
    Team* helpers = team();
    if (helpers != nullptr) helpers->run(body);
    team_taken.clear(std::memory_order_release);
    if (helpers != nullptr) return;
  }
  for (int piece = 0; piece < kTeamPieces; ++piece) body(piece);
}

}  // namespace zkcore
