// SHA-256 and SHA-512 (FIPS 180-4): one construction over words of 32 and of 64 bits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace zkcore {

template <class Word>
class Sha2 {
 public:
  using Digest = std::array<uint8_t, 8 * sizeof(Word)>;

  Sha2();
  Sha2& update(const uint8_t* data, size_t size);  // below 2^61 bytes in all
  template <class Bytes>
  Sha2& update(const Bytes& bytes) {
    return update(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
  Digest digest();

 private:
  static constexpr size_t kBlock = 16 * sizeof(Word);

  void compress();

  std::array<Word, 8> state_;
  std::array<uint8_t, kBlock> block_;
  uint64_t size_ = 0;
};

using Sha256 = Sha2<uint32_t>;
using Sha512 = Sha2<uint64_t>;

extern template class Sha2<uint32_t>;
extern template class Sha2<uint64_t>;

}  // namespace zkcore
