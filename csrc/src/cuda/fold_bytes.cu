// Weights are cut into their 32 bytes w = sum_b 256^b w_b, 16-bit entries into two, x = 256 x_1 + x_0 with x_1
// signed. Sums of products of bytes are 8-bit matrix products with 32-bit results, exact for 2^15 terms:
//
//   D[b, plane, output] = sum_k w_b[k] x_plane[k, output],   out = sum_(b, plane) 256^(b + plane) D
//
// Every warp keeps the sums of all 32 bytes for its outputs in registers and streams the entries once. Partial
// sums lie as [segment of k][plane][b][output], outputs running over [outer, inner].
//
// mma.m16n8k32, lane = 4 g + t: A holds rows g and g + 8, columns 4t.. and 16 + 4t..; B column g, rows 4t..
// and 16 + 4t..; D rows g and g + 8, columns 2t and 2t + 1. Which k stands where does not matter as long as A
// and B agree.
#include "cuda/fold_bytes.cuh"
#include "cuda/sums.cuh"

namespace zkcore::cuda {
namespace {

constexpr int kBytes = 32;                // of a weight
constexpr size_t kMaxSegment = 1 << 15;  // terms of a 32-bit sum of products of bytes
constexpr unsigned kWarps = 4;

struct BytesShape {
  size_t outer, k, inner;
  size_t segment;
  size_t blocks;  // of outputs, for each entry of the outer axis
};

// ---- inner > 1: entries are read 8 columns at a time, and A are the weights

// fragments[step][lane][8]: what a lane needs of the weights of rows 32 step .. 32 step + 31 as A, bytes 0-15
// first. Rows beyond k have weight 0.
__global__ void __launch_bounds__(kBlock) fragments_kernel(const Fr* weights, size_t k, size_t steps, uint32_t* out) {
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

// Bytes of 8 columns of one row, one plane after the other.
template <int kPlanes>
struct RowPiece;
template <>
struct RowPiece<1> {
  uint32_t bytes[1][2];
  __device__ __forceinline__ void read(const int8_t* from) {
    const uint2 w = __ldcs(reinterpret_cast<const uint2*>(from));
    bytes[0][0] = w.x;
    bytes[0][1] = w.y;
  }
};
template <>
struct RowPiece<2> {
  uint32_t bytes[2][2];
  __device__ __forceinline__ void read(const int16_t* from) {
    const uint4 w = __ldcs(reinterpret_cast<const uint4*>(from));
    bytes[0][0] = __byte_perm(w.x, w.y, 0x6420);
    bytes[0][1] = __byte_perm(w.z, w.w, 0x6420);
    bytes[1][0] = __byte_perm(w.x, w.y, 0x7531);
    bytes[1][1] = __byte_perm(w.z, w.w, 0x7531);
  }
};

// A warp takes 64 columns; lane group g columns 8 g .. 8 g + 7, column c of all groups being the 8 columns of
// one matrix product.
template <class T>
__global__ void __launch_bounds__(32 * kWarps) fold_columns_kernel(const T* data, const uint4* fragments,
                                                                   BytesShape s, int32_t* partial) {
  constexpr int kPlanes = sizeof(T);
  const unsigned lane = threadIdx.x % 32;
  const unsigned g = lane / 4;
  const unsigned t = lane % 4;
  const size_t o = blockIdx.x / s.blocks;
  const size_t first = (blockIdx.x % s.blocks * kWarps + threadIdx.x / 32) * 64;
  if (first >= s.inner) return;
  const size_t mine = first + 8 * g;
  const size_t begin = blockIdx.y * s.segment;
  const size_t end = begin + s.segment < s.k ? begin + s.segment : s.k;
  const T* column = data + o * s.k * s.inner + (mine < s.inner ? mine : 0);
  int32_t sums[kPlanes][2][8][4] = {};
#pragma unroll 1
  for (size_t row = begin; row < end; row += 32) {
    const uint4* fragment = fragments + (row * 8 + lane * 8) / 4;
    const uint4 low = __ldg(fragment), high = __ldg(fragment + 1);
    RowPiece<kPlanes> piece[8];
#pragma unroll
    for (unsigned i = 0; i < 8; ++i) {
      const size_t r = row + 4 * t + (i % 4) + 16 * (i / 4);
      piece[i].read(column + (r < s.k ? r : s.k - 1) * s.inner);
    }
    const uint32_t a[2][4] = {{low.x, low.y, low.z, low.w}, {high.x, high.y, high.z, high.w}};
#pragma unroll
    for (int plane = 0; plane < kPlanes; ++plane) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        uint32_t upper[4], lower[4];
        transpose(upper, piece[0].bytes[plane][half], piece[1].bytes[plane][half], piece[2].bytes[plane][half],
                  piece[3].bytes[plane][half]);
        transpose(lower, piece[4].bytes[plane][half], piece[5].bytes[plane][half], piece[6].bytes[plane][half],
                  piece[7].bytes[plane][half]);
#pragma unroll
        for (int c = 0; c < 4; ++c) {
          const uint32_t b[2] = {upper[c], lower[c]};
#pragma unroll
          for (int m = 0; m < 2; ++m) {
            int32_t* d = sums[plane][m][4 * half + c];
            plane == kPlanes - 1 ? ptx::mma_us(d, a[m], b) : ptx::mma_uu(d, a[m], b);
          }
        }
      }
    }
  }
  const size_t outputs = s.outer * s.inner;
#pragma unroll
  for (int plane = 0; plane < kPlanes; ++plane) {
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
      for (int d = 0; d < 4; ++d) {
        const size_t to = first + 8 * (2 * t + d % 2);
        if (to >= s.inner) continue;
        const size_t byte = 16 * m + g + 8 * (d / 2);
        int4* out = reinterpret_cast<int4*>(
            partial + ((blockIdx.y * kPlanes + plane) * kBytes + byte) * outputs + o * s.inner + to);
        const auto& sum = sums[plane][m];
        out[0] = make_int4(sum[0][d], sum[1][d], sum[2][d], sum[3][d]);
        out[1] = make_int4(sum[4][d], sum[5][d], sum[6][d], sum[7][d]);
      }
    }
  }
}

// ---- inner = 1: entries of a row are A, 16 of them a lane, and the weights are B

// bytes[b][i], rows padded to `length` with zeros.
__global__ void __launch_bounds__(kBlock) bytes_kernel(const Fr* weights, size_t k, size_t length, uint8_t* out) {
  const size_t i = thread_index();
  if (i >= length) return;
  const Fr w = i < k ? load(weights + i) : Fr::zero();
#pragma unroll
  for (int b = 0; b < kBytes; ++b) out[b * length + i] = static_cast<uint8_t>(w.v[b / 8] >> (8 * (b % 8)));
}

// Splits 8 consecutive 16-bit entries into low and high bytes.
__device__ __forceinline__ void split_planes(const uint4& x, uint32_t* low, uint32_t* high) {
  low[0] = __byte_perm(x.x, x.y, 0x6420);
  low[1] = __byte_perm(x.z, x.w, 0x6420);
  high[0] = __byte_perm(x.x, x.y, 0x7531);
  high[1] = __byte_perm(x.z, x.w, 0x7531);
}

// A warp takes kTiles * 16 rows.
template <class T, int kTiles>
__global__ void __launch_bounds__(32 * kWarps) fold_rows_kernel(const T* data, const uint8_t* bytes, BytesShape s,
                                                                int32_t* partial) {
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
      row[m][h] = data + (r < s.outer ? r : 0) * s.k;
    }
  }
  int32_t sums[kPlanes][kTiles][4][4] = {};
#pragma unroll 1
  for (size_t i = begin; i < end; i += 64) {
    uint4 b[4];
#pragma unroll
    for (int n = 0; n < 4; ++n) {
      b[n] = __ldg(reinterpret_cast<const uint4*>(bytes + (8 * n + g) * s.k + i + 16 * t));
    }
    uint4 x[kTiles][2][kPlanes];
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const uint4* from = reinterpret_cast<const uint4*>(row[m][h] + i + 16 * t);
#pragma unroll
        for (int p = 0; p < kPlanes; ++p) x[m][h][p] = __ldcs(from + p);
      }
    }
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      uint32_t a[kPlanes][2][4];  // [plane][half of the 16 entries][fragment]
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        uint32_t w[kPlanes][4];
        if constexpr (kPlanes == 1) {
          w[0][0] = x[m][h][0].x;
          w[0][1] = x[m][h][0].y;
          w[0][2] = x[m][h][0].z;
          w[0][3] = x[m][h][0].w;
        } else {
          split_planes(x[m][h][0], w[0], w[1]);
          split_planes(x[m][h][1], w[0] + 2, w[1] + 2);
        }
#pragma unroll
        for (int p = 0; p < kPlanes; ++p) {
          a[p][0][h] = w[p][0];
          a[p][0][2 + h] = w[p][1];
          a[p][1][h] = w[p][2];
          a[p][1][2 + h] = w[p][3];
        }
      }
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        const uint32_t halves[2][2] = {{b[n].x, b[n].y}, {b[n].z, b[n].w}};
#pragma unroll
        for (int p = 0; p < kPlanes; ++p) {
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            int32_t* d = sums[p][m][n];
            p == kPlanes - 1 ? ptx::mma_su(d, a[p][half], halves[half]) : ptx::mma_uu(d, a[p][half], halves[half]);
          }
        }
      }
    }
  }
#pragma unroll
  for (int p = 0; p < kPlanes; ++p) {
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
#pragma unroll
      for (int n = 0; n < 4; ++n) {
#pragma unroll
        for (int d = 0; d < 4; ++d) {
          const size_t r = first + 16 * m + 8 * (d / 2) + g;
          const size_t byte = 8 * n + 2 * t + d % 2;
          if (r < s.outer) partial[((blockIdx.y * kPlanes + p) * kBytes + byte) * s.outer + r] = sums[p][m][n][d];
        }
      }
    }
  }
}

// ---- out = sum of 256^(b + plane) * sum over segments

template <int kPlanes>
__global__ void __launch_bounds__(kBlock) join_bytes_kernel(const int32_t* partial, size_t segments, size_t outputs,
                                                            Fr* out) {
  const size_t j = thread_index();
  if (j >= outputs) return;
  uint32_t limbs[8] = {};
  int64_t carry = 0;
#pragma unroll
  for (int b = 0; b < kBytes + kPlanes - 1; ++b) {
    for (size_t s = 0; s < segments; ++s) {
#pragma unroll
      for (int p = 0; p < kPlanes; ++p) {
        if (b - p >= 0 && b - p < kBytes) carry += partial[((s * kPlanes + p) * kBytes + b - p) * outputs + j];
      }
    }
    if (b < kBytes) {
      limbs[b / 4] |= static_cast<uint32_t>(carry & 255) << (8 * (b % 4));
      carry >>= 8;
    }
  }
  // limbs + 2^256 carry: 2^256 < 3p.
  ptx::subtract_once<FrParams>(limbs);
  ptx::subtract_once<FrParams>(limbs);
  Fr low, high = Fr::zero();
  ptx::join<8>(low.v, limbs);
  const bool negative = carry < 0;
  high.v[0] = negative ? ~static_cast<uint64_t>(carry) + 1 : static_cast<uint64_t>(carry);
  high = Fr::mul_wide(Fr::r_squared(), high);
  store(out + j, negative ? low - high : low + high);
}

// ---- choice

bool aligned(const void* data, size_t bytes) { return reinterpret_cast<uintptr_t>(data) % bytes == 0; }

// Segments of k, multiples of `step`: enough blocks to fill the device, but long ones.
size_t segment_length(size_t k, size_t blocks, size_t step) {
  const size_t wanted = std::max<size_t>(1, static_cast<size_t>(multiprocessors()) * 8 / std::max<size_t>(1, blocks));
  const size_t most = std::max<size_t>(1, k / 512);
  const size_t segments = std::max(std::min(wanted, most), (k + kMaxSegment - 1) / kMaxSegment);
  const size_t length = (k + segments - 1) / segments;
  return std::min(kMaxSegment, (length + step - 1) / step * step);
}

template <class T>
void join(const int32_t* partial, size_t segments, size_t outputs, Fr* out, Stream stream) {
  launch(join_bytes_kernel<sizeof(T)>, {dim3(blocks_for(outputs)), kBlock}, stream, partial, segments, outputs, out);
}

template <class T>
void fold_columns(const T* data, BytesShape s, const Fr* weights, Fr* out, Stream stream) {
  s.blocks = (s.inner + 64 * kWarps - 1) / (64 * kWarps);
  s.segment = segment_length(s.k, s.blocks * s.outer, 32);
  const size_t segments = (s.k + s.segment - 1) / s.segment;
  const size_t steps = (s.k + 31) / 32;
  const Array<uint4> fragments(steps * 64, stream);
  const Array<int32_t> partial(segments * sizeof(T) * kBytes * s.outer * s.inner, stream);
  launch(fragments_kernel, {dim3(blocks_for(steps * 256)), kBlock}, stream, weights, s.k, steps,
         reinterpret_cast<uint32_t*>(fragments.data()));
  const dim3 grid(static_cast<unsigned>(s.blocks * s.outer), static_cast<unsigned>(segments));
  launch(fold_columns_kernel<T>, {grid, 32 * kWarps}, stream, data, fragments.data(), s, partial.data());
  join<T>(partial.data(), segments, s.outer * s.inner, out, stream);
}

template <class T>
void fold_rows(const T* data, BytesShape s, const Fr* weights, Fr* out, Stream stream) {
  constexpr int kTiles = sizeof(T) == 1 ? 4 : 2;
  const size_t rows = 16 * kTiles * kWarps;
  s.blocks = (s.outer + rows - 1) / rows;
  s.segment = segment_length(s.k, s.blocks, 64);
  const size_t segments = (s.k + s.segment - 1) / s.segment;
  const Array<uint8_t> bytes(kBytes * s.k, stream);
  const Array<int32_t> partial(segments * sizeof(T) * kBytes * s.outer, stream);
  launch(bytes_kernel, {dim3(blocks_for(s.k)), kBlock}, stream, weights, s.k, s.k, bytes.data());
  const dim3 grid(static_cast<unsigned>(s.blocks), static_cast<unsigned>(segments));
  launch(fold_rows_kernel<T, kTiles>, {grid, 32 * kWarps}, stream, data, bytes.data(), s, partial.data());
  join<T>(partial.data(), segments, s.outer, out, stream);
}

}  // namespace

bool fold_bytes(const Column& column, size_t outer, size_t k, size_t inner, const Fr* weights, Fr* out,
                Stream stream) {
  if (column.type != ColumnType::kInt8 && column.type != ColumnType::kInt16) return false;
  const bool columns = inner >= 64 && inner % 8 == 0 && k >= 32 && aligned(column.data, 16);
  const bool rows = inner == 1 && outer >= 64 && k % 64 == 0 && k > 0 && aligned(column.data, 16);
  if (!columns && !rows) return false;
  const BytesShape shape{outer, k, inner, 0, 0};
  const auto fold = [&](auto* data) {
    columns ? fold_columns(data, shape, weights, out, stream) : fold_rows(data, shape, weights, out, stream);
  };
  column.type == ColumnType::kInt8 ? fold(static_cast<const int8_t*>(column.data))
                                   : fold(static_cast<const int16_t*>(column.data));
  return true;
}

}  // namespace zkcore::cuda
