// What the processor can do, on all threads and from registers: the ceilings that engine.py divides by.
// Prints, per second: products of 64 by 64 bits, products of Fr, products of Fq.
//
//   c++ -O3 -march=native -std=c++20 -pthread -I csrc/include benchmarks/limits.cpp
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <thread>
#include <vector>

#include "zkcore/field.hpp"

namespace {

constexpr double kSeconds = 0.4;
std::atomic<uint64_t> sink{0};

// Independent chains hide the latency; fewer than the registers hold.
template <class F>
struct Chains {
  static constexpr int kCount = 4;
  F x[kCount];
  explicit Chains(uint64_t seed) {
    for (int i = 0; i < kCount; ++i) x[i] = F::from_uint64(seed + 77 * i + 3);
  }
  void step() {
    for (int i = 0; i < kCount; ++i) x[i] *= x[i];
  }
  uint64_t digest() const { return x[0].to_limbs().v[0] ^ x[kCount - 1].to_limbs().v[0]; }
};

struct WideProducts {
  static constexpr int kCount = 8;
  uint64_t x[kCount];
  explicit WideProducts(uint64_t seed) {
    for (int i = 0; i < kCount; ++i) x[i] = seed * 2 + 0x9e3779b97f4a7c15 * (i + 1);
  }
  void step() {
    for (int i = 0; i < kCount; ++i) {
      const unsigned __int128 p = static_cast<unsigned __int128>(x[i]) * 0xd1342543de82ef95;
      x[i] = static_cast<uint64_t>(p) ^ static_cast<uint64_t>(p >> 64);
    }
  }
  uint64_t digest() const { return x[0] ^ x[kCount - 1]; }
};

template <class Work>
double rate(unsigned threads) {
  std::atomic<uint64_t> done{0};
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  std::vector<std::thread> pool;
  for (unsigned t = 0; t < threads; ++t) {
    pool.emplace_back([&, t] {
      Work work(t + 1);
      uint64_t steps = 0;
      while (elapsed() < kSeconds) {
        for (int i = 0; i < 4096; ++i) work.step();
        steps += 4096;
      }
      sink ^= work.digest();
      done += steps * Work::kCount;
    });
  }
  for (std::thread& thread : pool) thread.join();
  return static_cast<double>(done) / elapsed();
}

}  // namespace

int main() {
  const unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  std::printf("%.6g %.6g %.6g\n", rate<WideProducts>(threads), rate<Chains<zkcore::Fr>>(threads),
              rate<Chains<zkcore::Fq>>(threads));
  return sink == 1 ? 1 : 0;
}
