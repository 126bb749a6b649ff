// Weights are cut into their 32 bytes w = sum_b 256^b w_b, entries into planes of bytes x = sum_p 256^p x_p
// with the last one signed. Sums of products of bytes are 8-bit matrix products with 32-bit results, exact
// for 2^15 terms, and with 64 bits in fours and pairs for 2^14:
//
//   D[b, plane, output] = sum_k w_b[k] x_plane[k, output],   out = sum_(b, plane) 256^(b + plane) D
//
// Every warp keeps the sums of all 32 bytes for its outputs in registers and streams the entries once. Four
// bytes' sums and two planes' make one 64-bit sum of weight 2^(32 quad + 16 pair), so that partial sums are
// few bytes: they lie as [segment of k][pair of planes][quad of bytes][output], outputs running over [outer,
// inner].
//
// mma.m16n8k32, lane = 4 g + t: A holds rows g and g + 8, columns 4t.. and 16 + 4t..; B column g, rows 4t..
// and 16 + 4t..; D rows g and g + 8, columns 2t and 2t + 1. Which k stands where does not matter as long as A
// and B agree.
#include "cuda/fold_bytes.cuh"
#include "cuda/sums.cuh"

namespace zkcore::cuda {
namespace {

constexpr int kBytes = 32;  // of a weight
constexpr int kQuads = kBytes / 4;
constexpr size_t kMaxSegment = 1 << 14;  // terms of a sum
constexpr unsigned kWarps = 4;

template <class T>
constexpr int kPairs = (sizeof(T) + 1) / 2;  // of planes

// The planes 2 pair and 2 pair + 1 of a sum, sums[plane].
template <class T, class Sum>
__device__ __forceinline__ int64_t join_planes(int pair, Sum&& sum) {
  const int64_t low = sum(2 * pair);
  if constexpr (sizeof(T) == 1) return low;
  return low + (static_cast<int64_t>(sum(2 * pair + 1)) << 8);
}

struct BytesShape {
  size_t outer, k, inner;
  size_t segment;
  size_t blocks;  // of outputs, for each entry of the outer axis
};

// ---- inner > 1: entries are read 8 columns at a time, and A are the weights

// fragments[step][lane][8]: what a lane needs of the weights of rows 32 step .. 32 step + 31 as A, bytes 0-15
// first. Rows beyond k have weight 0.
__global__ void __launch_bounds__(kBlock)
    fragments_kernel(const Fr* weights, size_t k, size_t steps, uint32_t* out) {
  const size_t at = thread_index();
  if (at >= steps * 32 * 8) return;
  const size_t step = at / 256;
  const int lane = static_cast<int>(at / 8 % 32);
  const int piece = static_cast<int>(at % 8);
  const int byte = lane / 4 + 8 * (piece & 1) + 16 * (piece >> 2);
  const size_t row = 32 * step + 4 * (lane % 4) + 16 * ((piece >> 1) & 1);
  uint32_t packed = 0;
  for (size_t i = 0; i < 4; ++i) {
    const uint64_t limb = row + i < k ? weights[row + i].v[byte / 8] : 0;
    packed |= static_cast<uint32_t>(limb >> (8 * (byte % 8)) & 255) << (8 * i);
  }
  out[at] = packed;
}

// Four rows of four bytes become four columns.
__device__ __forceinline__ void transpose(uint32_t* columns, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
  const uint32_t ab = __byte_perm(a, b, 0x5140), ab_high = __byte_perm(a, b, 0x7362);
  const uint32_t cd = __byte_perm(c, d, 0x5140), cd_high = __byte_perm(c, d, 0x7362);
  columns[0] = __byte_perm(ab, cd, 0x5410);
  columns[1] = __byte_perm(ab, cd, 0x7632);
  columns[2] = __byte_perm(ab_high, cd_high, 0x5410);
  columns[3] = __byte_perm(ab_high, cd_high, 0x7632);
}

// A thread's 16 bytes of one row, and their bytes plane by plane, four columns a word. Eight threads read 128
// bytes of a row: with 64, memory is slower.
template <class T>
struct RowPiece {
  static constexpr int kPlanes = sizeof(T);
  static constexpr int kColumns = 16 / sizeof(T);
  uint32_t words[4];

  __device__ __forceinline__ void read(const T* from) {
    const uint4 w = __ldcs(reinterpret_cast<const uint4*>(from));
    words[0] = w.x;
    words[1] = w.y;
    words[2] = w.z;
    words[3] = w.w;
  }
};

// out[plane][column]: the bytes of four rows in one word.
template <class T>
__device__ __forceinline__ void columns_of(const RowPiece<T>* rows,
                                           uint32_t (&out)[sizeof(T)][RowPiece<T>::kColumns]) {
  if constexpr (sizeof(T) == 4) {
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      uint32_t planes[4];
      transpose(planes, rows[0].words[c], rows[1].words[c], rows[2].words[c], rows[3].words[c]);
#pragma unroll
      for (int p = 0; p < 4; ++p) out[p][c] = planes[p];
    }
  } else {
#pragma unroll
    for (int four = 0; four < RowPiece<T>::kColumns / 4; ++four) {
#pragma unroll
      for (int p = 0; p < static_cast<int>(sizeof(T)); ++p) {
        uint32_t bytes[4];
#pragma unroll
        for (int r = 0; r < 4; ++r) {
          if constexpr (sizeof(T) == 1) {
            bytes[r] = rows[r].words[four];
          } else {
            bytes[r] = __byte_perm(rows[r].words[2 * four], rows[r].words[2 * four + 1], p ? 0x7531 : 0x6420);
          }
        }
        transpose(out[p] + 4 * four, bytes[0], bytes[1], bytes[2], bytes[3]);
      }
    }
  }
}

// Adds up the values of the four lanes 4 g + t whose g differ in two bits, a quarter of the sums for each.
template <int kCount>
__device__ __forceinline__ void share_sums(int64_t* values, unsigned g) {
#pragma unroll
  for (int half = kCount / 2, bit = 2; bit > 0; half /= 2, bit /= 2) {
    const bool upper = g & bit;
#pragma unroll
    for (int c = 0; c < half; ++c) {
      const int64_t away = upper ? values[c] : values[c + half];
      values[c] = (upper ? values[c + half] : values[c]) + __shfl_xor_sync(0xffffffffu, away, 4 * bit);
    }
  }
}

// A warp takes 8 kColumns columns; lane group g columns kColumns g ..., column c of all groups being the 8
// columns of one matrix product. The next 32 rows are read before the products of these.
template <class T>
__global__ void __launch_bounds__(32 * kWarps)
    fold_columns_kernel(const T* data, const uint4* fragments, BytesShape s, int64_t* partial) {
  using Piece = RowPiece<T>;
  constexpr int kPlanes = Piece::kPlanes;
  constexpr int kColumns = Piece::kColumns;
  const unsigned lane = threadIdx.x % 32;
  const unsigned g = lane / 4;
  const unsigned t = lane % 4;
  const size_t o = blockIdx.x / s.blocks;
  const size_t first = (blockIdx.x % s.blocks * kWarps + threadIdx.x / 32) * (8 * kColumns);
  if (first >= s.inner) return;
  const size_t mine = first + kColumns * g;
  const size_t begin = blockIdx.y * s.segment;
  const size_t end = begin + s.segment < s.k ? begin + s.segment : s.k;
  const T* column = data + o * s.k * s.inner + (mine < s.inner ? mine : 0);
  int32_t sums[kPlanes][2][kColumns][4] = {};
  Piece pieces[8];
  uint4 a_low, a_high;
  const auto read = [&](size_t row) {
    const uint4* fragment = fragments + (row * 8 + lane * 8) / 4;
    a_low = __ldg(fragment);
    a_high = __ldg(fragment + 1);
#pragma unroll
    for (unsigned i = 0; i < 8; ++i) {
      const size_t r = row + 4 * t + (i % 4) + 16 * (i / 4);
      pieces[i].read(column + (r < s.k ? r : s.k - 1) * s.inner);
    }
  };
  read(begin);
#pragma unroll 1
  for (size_t row = begin; row < end; row += 32) {
    uint32_t upper[kPlanes][kColumns], lower[kPlanes][kColumns];
    columns_of<T>(pieces, upper);
    columns_of<T>(pieces + 4, lower);
    const uint32_t a[2][4] = {{a_low.x, a_low.y, a_low.z, a_low.w}, {a_high.x, a_high.y, a_high.z, a_high.w}};
    if (row + 32 < end) read(row + 32);
#pragma unroll
    for (int plane = 0; plane < kPlanes; ++plane) {
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        const uint32_t b[2] = {upper[plane][c], lower[plane][c]};
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          int32_t* d = sums[plane][m][c];
          plane == kPlanes - 1 ? ptx::mma_us(d, a[m], b) : ptx::mma_uu(d, a[m], b);
        }
      }
    }
  }
  const size_t outputs = s.outer * s.inner;
#pragma unroll
  for (int pair = 0; pair < kPairs<T>; ++pair) {
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
      for (int d = 0; d < 4; ++d) {
        int64_t sum[kColumns];
#pragma unroll
        for (int c = 0; c < kColumns; ++c) {
          sum[c] = join_planes<T>(pair, [&](int plane) { return sums[plane][m][c][d]; }) << (8 * (g % 4));
        }
        share_sums<kColumns>(sum, g);
        const size_t to = first + kColumns * (2 * t + d % 2) + kColumns / 4 * (g % 4);
        if (to >= s.inner) continue;
        const size_t quad = 4 * m + 2 * (d / 2) + g / 4;
        int64_t* out =
            partial + ((blockIdx.y * kPairs<T> + pair) * kQuads + quad) * outputs + o * s.inner + to;
#pragma unroll
        for (int c = 0; c < kColumns / 4; ++c) out[c] = sum[c];
      }
    }
  }
}

// ---- inner = 1: entries of a row are A, 16 of them a lane, and the weights are B

// bytes[b][i], rows padded to `length` with zeros.
__global__ void __launch_bounds__(kBlock)
    bytes_kernel(const Fr* weights, size_t k, size_t length, uint8_t* out) {
  const size_t i = thread_index();
  if (i >= length) return;
  const Fr w = i < k ? load(weights + i) : Fr::zero();
#pragma unroll
  for (int b = 0; b < kBytes; ++b) out[b * length + i] = static_cast<uint8_t>(w.v[b / 8] >> (8 * (b % 8)));
}

// A lane's 16 entries of a row: four words for each plane, entries in the order of the weights.
template <class T>
struct Entries {
  static constexpr int kPlanes = sizeof(T);
  uint4 words[kPlanes];

  __device__ __forceinline__ void read(const T* from) {
#pragma unroll
    for (int p = 0; p < kPlanes; ++p) words[p] = __ldcs(reinterpret_cast<const uint4*>(from) + p);
  }
  // out[plane][4 entries a word]
  __device__ __forceinline__ void split(uint32_t (&out)[kPlanes][4]) const {
#pragma unroll
    for (int p = 0; p < kPlanes; ++p) {
      const uint4& w = words[p];
      if constexpr (kPlanes == 1) {
        out[0][0] = w.x;
        out[0][1] = w.y;
        out[0][2] = w.z;
        out[0][3] = w.w;
      } else if constexpr (kPlanes == 2) {
#pragma unroll
        for (int plane = 0; plane < 2; ++plane) {
          out[plane][2 * p] = __byte_perm(w.x, w.y, plane ? 0x7531 : 0x6420);
          out[plane][2 * p + 1] = __byte_perm(w.z, w.w, plane ? 0x7531 : 0x6420);
        }
      } else {
        uint32_t planes[4];
        transpose(planes, w.x, w.y, w.z, w.w);
#pragma unroll
        for (int plane = 0; plane < 4; ++plane) out[plane][p] = planes[plane];
      }
    }
  }
};

// A warp takes kTiles * 16 rows and kSteps * 64 entries at a time. The next ones are read before the products
// of these.
template <class T, int kTiles, int kSteps>
__global__ void __launch_bounds__(32 * kWarps)
    fold_rows_kernel(const T* data, const uint8_t* bytes, BytesShape s, int64_t* partial) {
  constexpr int kPlanes = sizeof(T);
  const unsigned lane = threadIdx.x % 32;
  const unsigned g = lane / 4;
  const unsigned t = lane % 4;
  const size_t first = (static_cast<size_t>(blockIdx.x) * kWarps + threadIdx.x / 32) * (16 * kTiles);
  if (first >= s.outer) return;
  const size_t begin = blockIdx.y * s.segment;
  const size_t end = begin + s.segment < s.k ? begin + s.segment : s.k;
  const T* row[kTiles][2];
#pragma unroll
  for (int m = 0; m < kTiles; ++m) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const size_t r = first + 16 * m + 8 * h + g;
      row[m][h] = data + (r < s.outer ? r : 0) * s.k + 16 * t;
    }
  }
  int32_t sums[kPlanes][kTiles][4][4] = {};
  uint4 b[kSteps][4];
  Entries<T> x[kSteps][kTiles][2];
  const auto read = [&](size_t i) {
#pragma unroll
    for (int q = 0; q < kSteps; ++q) {
      const bool beyond = i + 64 * q >= end;  // then the weights are 0
      const size_t from = beyond ? i : i + 64 * q;
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        b[q][n] = __ldg(reinterpret_cast<const uint4*>(bytes + (8 * n + g) * s.k + from + 16 * t));
        if (q > 0 && beyond) b[q][n] = make_uint4(0, 0, 0, 0);
      }
#pragma unroll
      for (int m = 0; m < kTiles; ++m) {
#pragma unroll
        for (int h = 0; h < 2; ++h) x[q][m][h].read(row[m][h] + from);
      }
    }
  };
  read(begin);
#pragma unroll 1
  for (size_t i = begin; i < end; i += 64 * kSteps) {
    uint32_t a[kSteps][kTiles][kPlanes][2][4];  // [half of the 16 entries][fragment]
    uint32_t halves[kSteps][4][2][2];
#pragma unroll
    for (int q = 0; q < kSteps; ++q) {
#pragma unroll
      for (int m = 0; m < kTiles; ++m) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          uint32_t w[kPlanes][4];
          x[q][m][h].split(w);
#pragma unroll
          for (int p = 0; p < kPlanes; ++p) {
            a[q][m][p][0][h] = w[p][0];
            a[q][m][p][0][2 + h] = w[p][1];
            a[q][m][p][1][h] = w[p][2];
            a[q][m][p][1][2 + h] = w[p][3];
          }
        }
      }
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        halves[q][n][0][0] = b[q][n].x;
        halves[q][n][0][1] = b[q][n].y;
        halves[q][n][1][0] = b[q][n].z;
        halves[q][n][1][1] = b[q][n].w;
      }
    }
    if (i + 64 * kSteps < end) read(i + 64 * kSteps);
#pragma unroll
    for (int q = 0; q < kSteps; ++q) {
#pragma unroll
      for (int m = 0; m < kTiles; ++m) {
#pragma unroll
        for (int n = 0; n < 4; ++n) {
#pragma unroll
          for (int p = 0; p < kPlanes; ++p) {
#pragma unroll
            for (int half = 0; half < 2; ++half) {
              int32_t* d = sums[p][m][n];
              p == kPlanes - 1 ? ptx::mma_su(d, a[q][m][p][half], halves[q][n][half])
                               : ptx::mma_uu(d, a[q][m][p][half], halves[q][n][half]);
            }
          }
        }
      }
    }
  }
#pragma unroll
  for (int pair = 0; pair < kPairs<T>; ++pair) {
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        int64_t sum[2];  // of the rows g and g + 8
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const auto byte = [&](int b) {
            return join_planes<T>(pair, [&](int plane) { return sums[plane][m][n][2 * h + b]; });
          };
          sum[h] = (byte(0) + (byte(1) << 8)) << (16 * (t % 2));
        }
        const int64_t own = t % 2 ? sum[1] : sum[0];
        const int64_t total = own + __shfl_xor_sync(0xffffffffu, t % 2 ? sum[0] : sum[1], 1);
        const size_t r = first + 16 * m + 8 * (t % 2) + g;
        const size_t quad = 2 * n + t / 2;
        if (r < s.outer) partial[((blockIdx.y * kPairs<T> + pair) * kQuads + quad) * s.outer + r] = total;
      }
    }
  }
}

// ---- out = sum of 2^(32 quad + 16 pair) * sum over segments

constexpr unsigned kJoined = kBlock / kQuads;  // outputs of a block

template <int kPairCount>
__global__ void __launch_bounds__(kBlock)
    join_bytes_kernel(const int64_t* partial, size_t segments, size_t outputs, Fr* out) {
  __shared__ __int128 sums[kQuads][kJoined];
  const unsigned quad = threadIdx.x / kJoined;
  const size_t j = blockIdx.x * static_cast<size_t>(kJoined) + threadIdx.x % kJoined;
  __int128 sum = 0;
#pragma unroll
  for (int pair = 0; pair < kPairCount && j < outputs; ++pair) {
    __int128 own = 0;
#pragma unroll 4
    for (size_t s = 0; s < segments; ++s)
      own += partial[((s * kPairCount + pair) * kQuads + quad) * outputs + j];
    sum += own * (__int128{1} << (16 * pair));
  }
  sums[quad][threadIdx.x % kJoined] = sum;
  __syncthreads();
  if (quad > 0 || j >= outputs) return;
  uint32_t limbs[kQuads];
  __int128 carry = 0;
#pragma unroll
  for (int q = 0; q < kQuads; ++q) {
    carry += sums[q][threadIdx.x];
    limbs[q] = static_cast<uint32_t>(carry);
    carry >>= 32;
  }
  // limbs + 2^256 carry: 2^256 < 3p.
  ptx::subtract_once<FrParams>(limbs);
  ptx::subtract_once<FrParams>(limbs);
  Fr low, high = Fr::zero();
  ptx::join<8>(low.v, limbs);
  const bool negative = carry < 0;
  const auto upper = static_cast<int64_t>(carry);
  high.v[0] = negative ? ~static_cast<uint64_t>(upper) + 1 : static_cast<uint64_t>(upper);
  high = Fr::mul_wide(Fr::r_squared(), high);
  store(out + j, negative ? low - high : low + high);
}

// ---- choice

bool aligned(const void* data, size_t bytes) { return reinterpret_cast<uintptr_t>(data) % bytes == 0; }

// Segments of k, multiples of `step`: as many as fill the resident blocks once, or a few times where that
// leaves many of them idle, since every segment costs partial sums.
size_t segment_length(size_t k, size_t blocks, size_t resident, size_t step) {
  const size_t most = std::max<size_t>(1, k / 512);
  const auto used = [&](size_t segments) {
    const size_t all = blocks * segments;
    return static_cast<double>(all) / static_cast<double>((all + resident - 1) / resident * resident);
  };
  size_t best = std::max<size_t>(1, std::min(most, resident / blocks));
  for (size_t s = best; s <= std::min(most, 3 * resident / blocks) && used(best) < 0.85; ++s) {
    if (used(s) > used(best)) best = s;
  }
  best = std::max(best, (k + kMaxSegment - 1) / kMaxSegment);
  const size_t length = (k + best - 1) / best;
  return std::min(kMaxSegment, (length + step - 1) / step * step);
}

template <class T>
void join(const int64_t* partial, size_t segments, size_t outputs, Fr* out, Stream stream) {
  launch(join_bytes_kernel<kPairs<T>>, {dim3(blocks_for(outputs, kJoined)), kBlock}, stream, partial,
         segments, outputs, out);
}

template <class T>
void fold_columns(const T* data, BytesShape s, const Fr* weights, Fr* out, Stream stream) {
  constexpr size_t kColumns = 8 * RowPiece<T>::kColumns * kWarps;
  s.blocks = (s.inner + kColumns - 1) / kColumns;
  s.segment =
      segment_length(s.k, s.blocks * s.outer, resident_blocks(fold_columns_kernel<T>, 32 * kWarps), 32);
  const size_t segments = (s.k + s.segment - 1) / s.segment;
  const size_t steps = (s.k + 31) / 32;
  const Array<uint4> fragments(steps * 64, stream);
  const Array<int64_t> partial(segments * kPairs<T> * kQuads * s.outer * s.inner, stream);
  launch(fragments_kernel, {dim3(blocks_for(steps * 256)), kBlock}, stream, weights, s.k, steps,
         reinterpret_cast<uint32_t*>(fragments.data()));
  const dim3 grid(static_cast<unsigned>(s.blocks * s.outer), static_cast<unsigned>(segments));
  launch(fold_columns_kernel<T>, {grid, 32 * kWarps}, stream, data, fragments.data(), s, partial.data());
  join<T>(partial.data(), segments, s.outer * s.inner, out, stream);
}

template <class T>
void fold_rows(const T* data, BytesShape s, const Fr* weights, Fr* out, Stream stream) {
  // 128 bytes of a row at a time, or more, and as many sums as fit the registers.
  constexpr int kSteps = sizeof(T) == 1 ? 2 : 1;
  constexpr int kTiles = 4 / sizeof(T) / kSteps;
  const auto kernel = fold_rows_kernel<T, kTiles, kSteps>;
  const size_t rows = 16 * kTiles * kWarps;
  s.blocks = (s.outer + rows - 1) / rows;
  s.segment = segment_length(s.k, s.blocks, resident_blocks(kernel, 32 * kWarps), 64 * kSteps);
  const size_t segments = (s.k + s.segment - 1) / s.segment;
  const Array<uint8_t> bytes(kBytes * s.k, stream);
  const Array<int64_t> partial(segments * kPairs<T> * kQuads * s.outer, stream);
  launch(bytes_kernel, {dim3(blocks_for(s.k)), kBlock}, stream, weights, s.k, s.k, bytes.data());
  const dim3 grid(static_cast<unsigned>(s.blocks), static_cast<unsigned>(segments));
  launch(kernel, {grid, 32 * kWarps}, stream, data, bytes.data(), s, partial.data());
  join<T>(partial.data(), segments, s.outer, out, stream);
}

}  // namespace

bool fold_bytes(const Column& column, size_t outer, size_t k, size_t inner, const Fr* weights, Fr* out,
                Stream stream) {
  if (column.type == ColumnType::kInt64 || column.type == ColumnType::kField) return false;
  const size_t piece = column.type == ColumnType::kInt8 ? 16 : column.type == ColumnType::kInt16 ? 8 : 4;
  const bool columns = inner >= 64 && inner % piece == 0 && k >= 32 && aligned(column.data, 16);
  const bool rows = inner == 1 && outer >= 64 && k % 64 == 0 && k > 0 && aligned(column.data, 16);
  if (!columns && !rows) return false;
  const BytesShape shape{outer, k, inner, 0, 0};
  const auto fold = [&](auto* data) {
    columns ? fold_columns(data, shape, weights, out, stream) : fold_rows(data, shape, weights, out, stream);
  };
  switch (column.type) {
    case ColumnType::kInt8:
      fold(static_cast<const int8_t*>(column.data));
      break;
    case ColumnType::kInt16:
      fold(static_cast<const int16_t*>(column.data));
      break;
    default:
      fold(static_cast<const int32_t*>(column.data));
  }
  return true;
}

}  // namespace zkcore::cuda
