#include "parallel.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

namespace zkcore {
namespace {

struct Loop {
  size_t n;
  size_t chunk;
  const std::function<void(size_t, size_t)>* body;
  std::atomic<size_t> next{0};
  std::mutex error_lock;
  std::exception_ptr error;

  void work() {
    for (;;) {
      const size_t begin = next.fetch_add(chunk, std::memory_order_relaxed);
      if (begin >= n) return;
      try {
        (*body)(begin, std::min(n, begin + chunk));
      } catch (...) {
        const std::lock_guard<std::mutex> lock(error_lock);
        if (!error) error = std::current_exception();
        next.store(n, std::memory_order_relaxed);
      }
    }
  }
};

thread_local bool inside_loop = false;

// Workers sleep between loops. A loop calls no more of them than it has pieces, and waits for none that has
// not begun: a short loop is over before a worker of a busy machine, or the last of many, is awake. A pool is
// never destroyed: its threads end with the process.
class Pool {
 public:
  explicit Pool(int workers) : pid_(getpid()), workers_(workers) {
    for (int i = 0; i < workers; ++i) std::thread([this] { serve(); }).detach();
  }
  bool survives() const { return pid_ == getpid(); }
  int workers() const { return workers_; }

  void run(Loop& loop) {
    const int called = static_cast<int>(std::min<size_t>(workers_, (loop.n - 1) / loop.chunk));
    {
      const std::lock_guard<std::mutex> lock(lock_);
      loop_ = &loop;
      called_ = called;
    }
    for (int i = 0; i < called; ++i) wake_.notify_one();
    inside_loop = true;
    loop.work();
    inside_loop = false;
    std::unique_lock<std::mutex> lock(lock_);
    called_ = 0;
    done_.wait(lock, [this] { return busy_ == 0; });
  }

  // Ends the threads of a pool that is replaced by one of another size.
  void retire() {
    {
      const std::lock_guard<std::mutex> lock(lock_);
      retired_ = true;
    }
    wake_.notify_all();
  }

 private:
  void serve() {
    inside_loop = true;
    std::unique_lock<std::mutex> lock(lock_);
    for (;;) {
      wake_.wait(lock, [&] { return retired_ || called_ > 0; });
      if (retired_) return;
      --called_;
      ++busy_;
      Loop* loop = loop_;
      lock.unlock();
      loop->work();
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  const pid_t pid_;
  const int workers_;
  std::mutex lock_;
  std::condition_variable wake_;
  std::condition_variable done_;
  Loop* loop_ = nullptr;
  int called_ = 0;  // workers that may still join the loop
  int busy_ = 0;    // workers in it
  bool retired_ = false;
};

std::atomic<int> wanted_threads{0};
std::atomic_flag pool_taken = ATOMIC_FLAG_INIT;

// The pool for this process: a child after fork() has none of its parent's threads and starts its own.
Pool& pool_of(int workers) {
  static Pool* pool = nullptr;
  if (pool != nullptr && !pool->survives()) pool = nullptr;
  if (pool == nullptr || pool->workers() != workers) {
    if (pool != nullptr) pool->retire();
    pool = new Pool(workers);
  }
  return *pool;
}

}  // namespace

void set_threads(int count) { wanted_threads = std::max(0, count); }

int threads() {
  static const int cores =
      std::max(1, static_cast<int>(std::thread::hardware_concurrency()));  // reads a file
  const int wanted = wanted_threads;
  return wanted > 0 ? wanted : cores;
}

void parallel_for(size_t n, size_t grain, const std::function<void(size_t, size_t)>& body) {
  if (n == 0) return;
  const size_t count = static_cast<size_t>(threads());
  const size_t chunk = std::max({grain, (n + 32 * count - 1) / (32 * count), size_t{1}});
  if (count == 1 || chunk >= n || inside_loop || pool_taken.test_and_set(std::memory_order_acquire)) {
    body(0, n);
    return;
  }
  Loop loop{n, chunk, &body, {}, {}, {}};
  pool_of(static_cast<int>(count) - 1).run(loop);
  pool_taken.clear(std::memory_order_release);
  if (loop.error) std::rethrow_exception(loop.error);
}

}  // namespace zkcore
