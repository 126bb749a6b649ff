// Pippenger's bucket method for many rows over the same points: window t of row i is a lane; a lane sums the
// points of equal digit into buckets B_1 .. B_m, then sum_b b * B_b; the lanes of a row are joined by
// doublings.
#pragma once

#include <functional>

#include "batch_affine.hpp"
#include "scalars.hpp"

namespace zkcore {

// Bytes that the buckets of rows summed together may take, but for those of one row; 0: as many as make good
// use of the cores.
void set_bucket_room(size_t bytes);

// Sets the scalars of row i.
using RowReader = std::function<void(size_t i, DigitRow& row)>;

// out[i] = sum_j (row i)_j * points[j] for n rows of `width` scalars.
void bucket_sums(const Affine* points, size_t n, size_t width, const Windows& windows, const RowReader& read,
                 Xyzz* out);

}  // namespace zkcore
