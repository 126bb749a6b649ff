// Uninitialized memory for field elements and points. Large buffers ask for huge pages: tables live briefly,
// and page faults would otherwise take as long as the arithmetic that fills them.
#pragma once

#include <cstdlib>
#include <memory>
#include <new>

#include "zkcore/field.hpp"
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace zkcore {

struct FreeMemory {
  void operator()(void* data) const { std::free(data); }
};
template <class T>
using Buffer = std::unique_ptr<T[], FreeMemory>;
using FieldBuffer = Buffer<Fr>;

template <class T>
Buffer<T> make_buffer(size_t count) {
  constexpr size_t kHugePage = size_t{2} << 20;
  const size_t bytes = (count + 1) * sizeof(T);
  if (bytes < 2 * kHugePage) {
    void* data = std::malloc(bytes);
    if (!data) throw std::bad_alloc();
    return Buffer<T>(static_cast<T*>(data));
  }
  void* data = std::aligned_alloc(kHugePage, (bytes + kHugePage - 1) / kHugePage * kHugePage);
  if (!data) throw std::bad_alloc();
#ifdef __linux__
  (void)madvise(data, bytes, MADV_HUGEPAGE);
#endif
  return Buffer<T>(static_cast<T*>(data));
}

inline FieldBuffer make_field_buffer(size_t count) { return make_buffer<Fr>(count); }

}  // namespace zkcore
