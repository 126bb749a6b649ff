// Pippenger's bucket method for many rows over the same points: window t of row i is a lane; a lane sums the
// points of equal digit into buckets B_1 .. B_m, then sum_b b * B_b; the lanes of a row are joined by
// doublings.
#pragma once

#include "cuda/device.cuh"
#include "zkcore/curve.hpp"

namespace zkcore::cuda {

// Scalars are cut into `count` windows of `bits` bits with digits in [-2^(bits - 1), 2^(bits - 1)].
struct Windows {
  int bits = 1;
  int count = 1;
  uint32_t buckets() const { return 1u << (bits - 1); }
  // The cheapest cut for sums of `width` points whose magnitudes are at most 2^(magnitude_bits - 1).
  static Windows choose(size_t width, int magnitude_bits);
};

// Scalars as magnitude plus bias, where the bias sum_t 2^(bits t + bits - 1) makes digits independent of each
// other (see cpu/scalars.hpp). Integers are read as they are; field elements come as biased magnitudes.
struct BiasedScalar {
  uint64_t v[4];
};
struct DigitView {
  ColumnType type;
  const void* data;         // integers, or BiasedScalar
  const uint8_t* negative;  // of field elements
  size_t width;
  Windows windows;
};

// sums[i] = sum_j (row i)_j * points[j] for n rows.
void bucket_sums(const Affine* points, const DigitView& digits, size_t n, Xyzz* sums, Stream stream);

// Magnitudes of field elements below (r + 1) / 2, biased, and their signs.
void bias_scalars(const Fr* scalars, size_t n, const Windows& windows, BiasedScalar* out, uint8_t* negative,
                  Stream stream);

}  // namespace zkcore::cuda
