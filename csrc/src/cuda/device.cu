#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <new>
#include <stdexcept>

#include "cuda/device.cuh"

namespace zkcore::cuda {
namespace {

Allocator& allocator() {
  static Allocator hooks;
  return hooks;
}

size_t& planned() {
  static size_t bytes = 0;
  return bytes;
}

int attribute(cudaDeviceAttr name) {
  int device = 0;
  int value = 0;
  check(cudaGetDevice(&device));
  check(cudaDeviceGetAttribute(&value, name, device));
  return value;
}

// Small pieces come from the runtime's pool, which is quicker to ask; it keeps them.
constexpr size_t kSmall = size_t{1} << 20;

void keep_pool() {
  static const bool done = [] {
    int device = 0;
    cudaMemPool_t pool = nullptr;
    uint64_t everything = ~uint64_t{0};
    check(cudaGetDevice(&device));
    check(cudaDeviceGetDefaultMemPool(&pool, device));
    check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &everything));
    return true;
  }();
  (void)done;
}

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Pinned memory is slow to get: mailboxes are kept for the next user.
std::mutex mailbox_mutex;
std::multimap<size_t, Fr*>& free_mailboxes() {
  static std::multimap<size_t, Fr*> boxes;
  return boxes;
}

}  // namespace

void check(cudaError_t status) {
  if (status == cudaSuccess) return;
  (void)cudaGetLastError();  // an error of the launch is not reported twice
  if (status == cudaErrorMemoryAllocation) throw std::bad_alloc();
  throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(status));
}

std::optional<std::string> missing() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    (void)cudaGetLastError();
    return cudaGetErrorString(status);
  }
  if (count == 0) return "no CUDA device";
  return std::nullopt;
}

void set_allocator(Allocator hooks) { allocator() = std::move(hooks); }

Memory::Memory(size_t bytes, Stream stream) : stream_(stream), own_(bytes < kSmall || !allocator().allocate) {
  if (bytes == 0) bytes = 16;
  if (own_) {
    keep_pool();
    check(cudaMallocAsync(&data_, bytes, stream));
  } else {
    data_ = allocator().allocate(bytes, stream);
  }
}

Memory::~Memory() {
  if (!data_) return;
  if (own_) {
    (void)cudaFreeAsync(data_, stream_);
  } else {
    allocator().release(data_, stream_);
  }
}

Mailbox::Mailbox(size_t count) : data_(nullptr), count_(count) {
  const std::lock_guard<std::mutex> lock(mailbox_mutex);
  const auto found = free_mailboxes().find(count);
  if (found != free_mailboxes().end()) {
    data_ = found->second;
    free_mailboxes().erase(found);
    return;
  }
  void* memory = nullptr;
  check(cudaHostAlloc(&memory, (count + 1) * sizeof(Fr), cudaHostAllocMapped | cudaHostAllocPortable));
  data_ = static_cast<Fr*>(memory);
}

Mailbox::~Mailbox() {
  const std::lock_guard<std::mutex> lock(mailbox_mutex);
  free_mailboxes().emplace(count_, data_);
}

// No two kernels have the same: what an earlier owner of the memory left there is nobody's ticket.
uint64_t Mailbox::new_ticket() {
  static std::atomic<uint64_t> last{0};
  return ticket_ = ++last;
}

void Mailbox::wait(Stream stream) const {
  constexpr int kLooks = 1000;  // some tens of microseconds, until the stream is asked whether it is well
  const auto delivered = [this] { return __atomic_load_n(flag(), __ATOMIC_ACQUIRE) == ticket_; };
  while (ticket_ != 0) {
    for (int i = 0; i < kLooks; ++i) {
      if (delivered()) return;
      pause();
    }
    const cudaError_t status = cudaStreamQuery(stream);
    if (status != cudaErrorNotReady) return check(status);
    (void)cudaGetLastError();  // that is no error
  }
}

int multiprocessors() {
  static const int count = attribute(cudaDevAttrMultiProcessorCount);
  return count;
}

unsigned resident_blocks(const void* kernel, unsigned block, int (*find)(const void*, unsigned)) {
  static std::mutex mutex;
  static std::map<std::pair<const void*, unsigned>, unsigned> known;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto [at, is_new] = known.try_emplace({kernel, block}, 0);
  if (is_new) at->second = static_cast<unsigned>(multiprocessors() * std::max(1, find(kernel, block)));
  return at->second;
}

size_t shared_memory_limit() {
  static const int bytes = attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  return static_cast<size_t>(bytes);
}

void plan_with(size_t bytes) { planned() = bytes; }

size_t device_memory() {
  if (planned() > 0) return planned();
  static const size_t bytes = [] {
    size_t available = 0, total = 0;
    check(cudaMemGetInfo(&available, &total));
    return total;
  }();
  return bytes;
}

Reports::Reports(Stream stream) : partial_(size_t{kMaxBlocks} * kMaxSums, stream), counter_(4, stream) {
  check(cudaMemsetAsync(counter_.data(), 0, 4 * sizeof(uint32_t), stream));
}

}  // namespace zkcore::cuda
