// SHA-512 (FIPS 180-4).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace zkcore {

class Sha512 {
 public:
  using Digest = std::array<uint8_t, 64>;

  Sha512& update(const void* data, size_t size);
  Sha512& update(std::string_view bytes) { return update(bytes.data(), bytes.size()); }
  Sha512& update(const Digest& digest) { return update(digest.data(), digest.size()); }
  Digest digest();

 private:
  void compress(const uint8_t* block);

  std::array<uint64_t, 8> state_ = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
                                    0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f,
                                    0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};
  std::array<uint8_t, 128> block_;
  uint64_t size_ = 0;  // below 2^61 bytes
};

}  // namespace zkcore
