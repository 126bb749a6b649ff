// SHA-256 (FIPS 180-4).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace zkcore {

class Sha256 {
 public:
  using Digest = std::array<uint8_t, 32>;

  Sha256& update(const uint8_t* data, size_t size);
  template <class Bytes>
  Sha256& update(const Bytes& bytes) {
    return update(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
  Digest digest();

 private:
  void compress(const uint8_t* block);

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> block_;
  uint64_t size_ = 0;
};

}  // namespace zkcore
