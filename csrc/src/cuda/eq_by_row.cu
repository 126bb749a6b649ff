// Sums of eq(place, cell) over the cells of a lookup that refer to each row of its table.
//
// Of a cell's variables the last are its place in a chunk: eq is a product of a factor of the chunk and an
// entry of a table that all chunks share and the cache holds. A chunk's cells are sorted by row in shared
// memory; then two threads a row, each with half of the limbs, add up the shared entries of its cells, as
// integers, and take one product with the chunk's factor for all of them. Nothing is written for each cell
// but its place in the sorted chunk, and the places of several points use one sorting.
#include <algorithm>
#include <bit>

#include "cuda/cells.cuh"
#include "cuda/scan.cuh"
#include "cuda/sums.cuh"
#include "cuda/table_rows.cuh"
#include "zkcore/field_counters.hpp"

namespace zkcore::cuda {
namespace {

constexpr unsigned kSortBlock = 1024;
constexpr uint32_t kMostChunkBits = 16;   // variables within a sorted chunk: places have 16 bits
constexpr uint32_t kMostSlice = 1 << 14;  // rows that a block sorts for
constexpr uint32_t kSlicesAtOnce = 4;
constexpr size_t kSharedTables = size_t{1} << 24;  // bytes of the eq tables that chunks share
constexpr size_t kMostShared = 20;                 // their variables
constexpr uint32_t kCrowded = 128;                 // cells of a row in a chunk that a warp adds up
constexpr uint32_t kCrowdPiece = 1024;             // of which it takes as many at a time
constexpr uint32_t kAlign = 8;                     // entries of order[] written together

// ---- where cells lie

struct Axis {
  uint32_t size, bits;
  uint32_t magic;  // ceil(2^32 / size)
  int64_t stride;  // of the mask
};

// The axes from the innermost on: `inner` of them lie in a chunk as a whole, the next is cut into pieces of
// 2^cut_bits, the others are the same in a chunk. Axes that need no padding are one with the next.
struct Grid {
  Axis axes[kMaxAxes + 1];
  int count, inner;
  uint32_t chunk_bits;
  uint32_t cut_bits;
  uint32_t pieces;  // of the axis that is cut
  uint64_t row;     // cells of what lies within that axis
  unsigned chunks;
};

Grid make_grid(std::span<const size_t> shape, std::span<const int64_t> strides, uint32_t chunk_bits) {
  Grid grid{};
  grid.chunk_bits = chunk_bits;
  for (size_t i = shape.size(); i-- > 0;) {
    const size_t n = shape[i];
    const auto bits = static_cast<uint32_t>(std::bit_width(n - 1));
    if (n == 1) continue;
    if (grid.count > 0) {
      Axis& last = grid.axes[grid.count - 1];
      const bool whole = last.size == 1u << last.bits && last.bits + bits < 32;
      if (whole && strides[i] == last.stride * static_cast<int64_t>(last.size)) {
        last.size *= static_cast<uint32_t>(n);
        last.bits += bits;
        continue;
      }
    }
    grid.axes[grid.count++] = {static_cast<uint32_t>(n), bits, 0, strides[i]};
  }
  uint32_t left = chunk_bits;
  grid.row = 1;
  grid.chunks = 1;
  while (grid.inner < grid.count && grid.axes[grid.inner].bits <= left) {
    Axis& axis = grid.axes[grid.inner++];
    axis.magic = static_cast<uint32_t>(((uint64_t{1} << 32) + axis.size - 1) / axis.size);
    left -= axis.bits;
    grid.row *= axis.size;
  }
  if (grid.inner == grid.count) grid.axes[grid.count++] = {1, 0, 0, 0};
  grid.cut_bits = std::min(left, grid.axes[grid.inner].bits);
  grid.pieces = ((grid.axes[grid.inner].size - 1) >> grid.cut_bits) + 1;
  grid.chunks = grid.pieces;
  for (int i = grid.inner + 1; i < grid.count; ++i) grid.chunks *= grid.axes[i].size;
  return grid;
}

// A chunk's cells are `count` entries from `first` on.
struct Chunk {
  size_t first;
  uint32_t count;
  uint32_t place;  // its number among the chunks of the padded domain
  int64_t mask;    // where the mask of its first cell lies
};

__device__ Chunk chunk_at(const Grid& grid, uint32_t chunk) {
  const Axis& cut = grid.axes[grid.inner];
  const uint32_t piece = chunk % grid.pieces;
  uint32_t rest = chunk / grid.pieces;
  const uint32_t begin = piece << grid.cut_bits;
  const uint32_t own = min(1u << grid.cut_bits, cut.size - begin);
  Chunk out{(static_cast<size_t>(rest) * cut.size + begin) * grid.row, static_cast<uint32_t>(own * grid.row),
            piece, begin * cut.stride};
  uint32_t bits = cut.bits - grid.cut_bits;
  for (int i = grid.inner + 1; i < grid.count; ++i) {
    const uint32_t at = rest % grid.axes[i].size;
    rest /= grid.axes[i].size;
    out.place |= at << bits;
    out.mask += at * grid.axes[i].stride;
    bits += grid.axes[i].bits;
  }
  return out;
}

// Of a chunk's cell i: its place in the padded chunk, and how far on its mask lies.
struct Place {
  uint32_t at;
  int64_t mask;
};
__device__ __forceinline__ Place place_of(const Grid& grid, uint32_t i) {
  Place out{0, 0};
  uint32_t bits = 0;
  for (int k = 0; k < grid.inner; ++k) {
    const Axis& axis = grid.axes[k];
    const uint32_t above = __umulhi(i, axis.magic);  // exact: i and the size are at most 2^16
    const uint32_t own = i - above * axis.size;
    out.at |= own << bits;
    out.mask += own * axis.stride;
    bits += axis.bits;
    i = above;
  }
  out.at |= i << bits;
  out.mask += i * grid.axes[grid.inner].stride;
  return out;
}

// ---- sorting

// Cells of a crowded row: a piece of order[].
struct CrowdPiece {
  size_t begin;
  uint32_t row, count, chunk;
};
struct CrowdList {
  CrowdPiece* pieces;
  uint32_t* count;
};
// A piece has at least kCrowded cells, or is the rest of one that has kCrowdPiece.
size_t most_pieces(size_t n) { return n / kCrowded + n / kCrowdPiece + 1; }

// Rows [base, base + rows) of the table are sorted in one pass, `slice` by a block. order[chunk] lists the
// places of the chunk's cells by row; begins[chunk][slice][row]: where a row's begin.
struct Sorted {
  uint32_t chunk_bits, base, rows, slice, slices;
  uint32_t* begins;
  uint16_t* order;
  uint32_t* places;  // of the chunks
  CrowdList crowds;

  __host__ __device__ size_t room() const { return (size_t{1} << chunk_bits) + kAlign * (slices + 1); }
  __device__ size_t begin_at(uint32_t chunk, uint32_t part) const {
    return (static_cast<size_t>(chunk) * slices + part) * (slice + 1);
  }
};

template <class T>
struct Index {
  const T* data;
  int64_t first;
  uint32_t size;
  const int8_t* mask;
};

// Calls fn(cell, row) for those of a block's cells that count; several are read at a time.
template <class T, class Fn>
__device__ __forceinline__ void for_each_cell(const Grid& grid, const Index<T>& index, const Chunk& chunk,
                                              Fn&& fn) {
  constexpr uint32_t kTogether = 8;
  const T* from = index.data + chunk.first;
  for (uint32_t start = threadIdx.x; start < chunk.count; start += kTogether * kSortBlock) {
    T read[kTogether];
#pragma unroll
    for (uint32_t k = 0; k < kTogether; ++k) {
      const uint32_t i = start + k * kSortBlock;
      read[k] = i < chunk.count ? from[i] : T{0};
    }
#pragma unroll
    for (uint32_t k = 0; k < kTogether; ++k) {
      const uint32_t i = start + k * kSortBlock;
      if (i >= chunk.count) continue;
      fn(i, row_of(read[k], index.first, index.size));
    }
  }
}

template <class T>
__global__ void __launch_bounds__(kSortBlock) sort_cells_kernel(Grid grid, Index<T> index, Sorted sorted) {
  extern __shared__ uint4 room[];
  auto* own_order = reinterpret_cast<uint16_t*>(room);
  auto* bins = reinterpret_cast<uint32_t*>(own_order + (size_t{1} << sorted.chunk_bits));
  __shared__ Chunk chunk;
  __shared__ uint32_t below;
  const uint32_t part = blockIdx.y;
  const uint32_t base = sorted.base + part * sorted.slice;
  const uint32_t size = min(sorted.slice, sorted.rows - part * sorted.slice);
  if (threadIdx.x == 0) {
    chunk = chunk_at(grid, blockIdx.x);
    below = 0;
    if (part == 0) sorted.places[blockIdx.x] = chunk.place;
  }
  for (uint32_t b = threadIdx.x; b < size; b += kSortBlock) bins[b] = 0;
  __syncthreads();
  const auto counts = [&](uint32_t i) {
    return index.mask == nullptr || index.mask[chunk.mask + place_of(grid, i).mask] != 0;
  };
  uint32_t less = 0;
  for_each_cell(grid, index, chunk, [&](uint32_t i, uint32_t row) {
    if (row - sorted.base >= base - sorted.base + size || !counts(i)) return;
    if (row < base) {
      ++less;
    } else {
      atomicAdd(bins + (row - base), 1u);
    }
  });
  less = __reduce_add_sync(0xffffffffu, less);
  if (threadIdx.x % 32 == 0) atomicAdd(&below, less);
  __syncthreads();
  const uint32_t total = block_scan(bins, size);
  const uint32_t shift = (below + kAlign - 1) / kAlign * kAlign + kAlign * part;
  uint32_t* out = sorted.begins + sorted.begin_at(blockIdx.x, part);
  const size_t to = blockIdx.x * sorted.room() + shift;
  for (uint32_t b = threadIdx.x; b < size; b += kSortBlock) {
    const uint32_t begin = bins[b];
    const uint32_t own = (b + 1 < size ? bins[b + 1] : total) - begin;
    out[b] = shift + begin;
    if (own < kCrowded) continue;
    for (uint32_t from = 0; from < own; from += kCrowdPiece) {
      sorted.crowds.pieces[atomicAdd(sorted.crowds.count, 1u)] = {to + begin + from, base + b,
                                                                  min(kCrowdPiece, own - from), blockIdx.x};
    }
  }
  if (threadIdx.x == 0) out[size] = shift + total;
  __syncthreads();
  for_each_cell(grid, index, chunk, [&](uint32_t i, uint32_t row) {
    if (row - base >= size || !counts(i)) return;
    own_order[atomicAdd(bins + (row - base), 1u)] = static_cast<uint16_t>(place_of(grid, i).at);
  });
  __syncthreads();
  const auto* words = reinterpret_cast<const uint4*>(own_order);
  auto* far = reinterpret_cast<uint4*>(sorted.order + to);
  for (uint32_t w = threadIdx.x; w * kAlign < total; w += kSortBlock) far[w] = words[w];
}

// ---- adding up

// eq of each point over the first variables and over the last: [point][rows] and [point][columns]. 2^extra
// chunks have one row.
struct Tables {
  const Fr *high, *low;
  size_t rows, columns;
  uint32_t chunk_bits, extra;

  // Of a chunk; an entry is two halves.
  __device__ const uint4* low_of(unsigned point, uint32_t place) const {
    const size_t chunk = static_cast<size_t>(place & ((1u << extra) - 1)) << chunk_bits;
    return reinterpret_cast<const uint4*>(low + point * columns + chunk);
  }
  __device__ Fr high_of(unsigned point, uint32_t row) const { return load(high + point * rows + row); }
};

// A sum of halves of field elements, of 128 bits each; good for 2^32.
struct HalfSum {
  uint32_t v[6] = {};  // the last is zero

  __device__ __forceinline__ void add(const uint4& x) {
    v[0] = ptx::add_cc(v[0], x.x);
    v[1] = ptx::addc_cc(v[1], x.y);
    v[2] = ptx::addc_cc(v[2], x.z);
    v[3] = ptx::addc_cc(v[3], x.w);
    v[4] = ptx::addc(v[4], 0);
  }
  // Adds the sum of the thread `distance` away.
  __device__ __forceinline__ void add_from(int distance) {
    uint32_t other[5];
#pragma unroll
    for (int i = 0; i < 5; ++i) other[i] = __shfl_xor_sync(0xffffffffu, v[i], distance);
    v[0] = ptx::add_cc(v[0], other[0]);
#pragma unroll
    for (int i = 1; i < 4; ++i) v[i] = ptx::addc_cc(v[i], other[i]);
    v[4] = ptx::addc(v[4], other[4]);
  }
};

// Products of such sums, not reduced.
struct HalfProducts {
  uint32_t v[15] = {};

  __device__ __forceinline__ void add(const HalfSum& sum, const Fr& factor) {
    uint32_t x[8], t[14];
    ptx::split<8>(x, factor.v);
    ptx::wide_mul<8, 6>(t, x, sum.v);
    add_limbs<1>(v, t);
  }
  __device__ __forceinline__ Fr total() const {
    ProductSum sum;
#pragma unroll
    for (int i = 0; i < 15; ++i) sum.set_word(i, v[i]);
    return sum.total();
  }
};

// Adds the entries of the cells order[begin], order[begin + kStep], ... below order[end], several at a time.
template <int kTogether, uint32_t kStep>
__device__ __forceinline__ void add_entries(HalfSum& sum, const uint16_t* order, uint32_t begin, uint32_t end,
                                            const uint4* from) {
  for (uint32_t i = begin; i < end; i += kTogether * kStep) {
    uint32_t cell[kTogether];
    uint4 x[kTogether];
#pragma unroll
    for (int k = 0; k < kTogether; ++k) cell[k] = i + k * kStep < end ? order[i + k * kStep] : 0;
#pragma unroll
    for (int k = 0; k < kTogether; ++k) {
      x[k] = i + k * kStep < end ? from[2 * cell[k]] : make_uint4(0, 0, 0, 0);
    }
#pragma unroll
    for (int k = 0; k < kTogether; ++k) sum.add(x[k]);
  }
}

// Neighbouring threads have a half each: the lower, the upper. Both get the whole, as a field element.
__device__ __forceinline__ Fr join_halves(const HalfProducts& products) {
  constexpr Fr upper = two_to<128>();
  Fr total = products.total(), other;
  if (threadIdx.x % 2) total = total * upper;
#pragma unroll
  for (int i = 0; i < 4; ++i) other.v[i] = __shfl_xor_sync(0xffffffffu, total.v[i], 1);
  return total + other;
}

// Two threads a row. A block has one of the points.
__global__ void __launch_bounds__(kBlock)
    add_rows_kernel(Sorted sorted, Tables tables, uint32_t chunks, uint32_t share, uint32_t points,
                    uint32_t size, unsigned long long* cells) {
  const unsigned half = threadIdx.x % 2;
  const uint32_t row = blockIdx.x * (kBlock / 2) + threadIdx.x / 2;
  const bool there = row < sorted.rows;
  const uint32_t slice = there ? row / sorted.slice : 0;
  const uint32_t* begins =
      sorted.begins + sorted.begin_at(0, slice) + (there ? row - slice * sorted.slice : 0);
  const uint32_t point = blockIdx.y % points;
  const uint32_t first = blockIdx.y / points * share, last = min(chunks, first + share);
  HalfProducts products;
  HalfSum sum;
  uint32_t current = first < last ? sorted.places[first] >> tables.extra : 0;
  const auto flush = [&] {
    if (__any_sync(0xffffffffu, (sum.v[0] | sum.v[1] | sum.v[2] | sum.v[3] | sum.v[4]) != 0)) {
      products.add(sum, tables.high_of(point, current));
      sum = HalfSum{};
    }
  };
  for (uint32_t c = first; c < last; ++c) {
    const uint32_t place = sorted.places[c];
    if (place >> tables.extra != current) {
      flush();
      current = place >> tables.extra;
    }
    const uint32_t* at = begins + sorted.begin_at(c, 0);
    const uint32_t begin = there ? at[0] : 0;
    uint32_t end = there ? at[1] : 0;
    if (end - begin >= kCrowded) end = begin;
    add_entries<4, 1>(sum, sorted.order + c * sorted.room(), begin, end, tables.low_of(point, place) + half);
  }
  flush();
  const Fr total = join_halves(products);
  if (half || !there || total.is_zero()) return;
  add_to_cells(cells + kCells * (static_cast<size_t>(point) * size + sorted.base + row), total);
}

// A warp takes some pieces: all its threads add up each of them, and two of them take the product for one.
__global__ void __launch_bounds__(kBlock)
    add_crowds_kernel(Sorted sorted, Tables tables, uint32_t size, unsigned long long* cells) {
  constexpr uint32_t kPairs = 16;
  const uint32_t count = *sorted.crowds.count, point = blockIdx.y;
  const uint32_t half = threadIdx.x % 2, pair = threadIdx.x % 32 / 2;
  const auto warps = static_cast<uint32_t>(thread_count() / 32);
  const uint32_t each = max(1u, min(kPairs, count / warps));
  for (uint32_t p = static_cast<uint32_t>(thread_index() / 32) * each; p < count; p += warps * each) {
    const uint32_t own = min(each, count - p);
    HalfSum mine;
    for (uint32_t k = 0; k < own; ++k) {
      const CrowdPiece piece = sorted.crowds.pieces[p + k];
      HalfSum sum;
      add_entries<8, kPairs>(sum, sorted.order + piece.begin, pair, piece.count,
                             tables.low_of(point, sorted.places[piece.chunk]) + half);
#pragma unroll
      for (int distance = 2; distance < 32; distance *= 2) sum.add_from(distance);
      if (pair == k) mine = sum;
    }
    const CrowdPiece piece = sorted.crowds.pieces[p + min(pair, own - 1)];
    HalfProducts products;
    products.add(mine, tables.high_of(point, sorted.places[piece.chunk] >> tables.extra));
    const Fr total = join_halves(products);
    if (half || pair >= own) continue;
    add_to_cells(cells + kCells * (static_cast<size_t>(point) * size + piece.row), total);
  }
}

// Of all points, eq over the first `variables - last` coordinates and over the last.
struct MadeTables {
  Array<Fr> high, low;
  Tables view;
};
MadeTables make_tables(std::span<const std::vector<Fr>> points, uint32_t chunk_bits, Stream stream) {
  const size_t variables = points[0].size();
  size_t shared = chunk_bits;
  while (shared < kMostShared && (points.size() * sizeof(Fr) << (shared + 1)) <= kSharedTables) ++shared;
  const size_t last = std::min(variables, shared);
  const size_t rows = size_t{1} << (variables - last), columns = size_t{1} << last;
  MadeTables out{Array<Fr>(rows * points.size(), stream), Array<Fr>(columns * points.size(), stream), {}};
  for (size_t k = 0; k < points.size(); ++k) {
    const std::span<const Fr> point(points[k]);
    eq_table(point.first(variables - last), Fr::one(), out.high.data() + k * rows, stream);
    eq_table(point.last(last), Fr::one(), out.low.data() + k * columns, stream);
  }
  const auto extra = static_cast<uint32_t>(last > chunk_bits ? last - chunk_bits : 0);
  out.view = {out.high.data(), out.low.data(), rows, columns, chunk_bits, extra};
  return out;
}

// What a block has shared memory for: its bins, and the places of a chunk.
struct Room {
  uint32_t chunk_bits = kMostChunkBits, slice;
  explicit Room(uint32_t size) : slice(std::bit_ceil(std::min(size, kMostSlice))) {
    constexpr uint32_t kFewest = 1 << 12;
    const size_t limit = shared_memory_limit() - 1024;
    while (bytes() > limit) slice > kFewest ? slice /= 2 : --chunk_bits;
  }
  size_t bytes() const { return slice * sizeof(uint32_t) + (sizeof(uint16_t) << chunk_bits); }
};

}  // namespace

void eq_by_row(const LookedUp& cells, std::span<const std::vector<Fr>> points, Fr* out, Stream stream) {
  const uint32_t size = cells.size;
  const Array<unsigned long long> sums(kCells * size * points.size(), stream);
  check(cudaMemsetAsync(sums.data(), 0, kCells * size * points.size() * sizeof(unsigned long long), stream));
  if (cells.index.size > 0) {
    const Room room(size);
    const Grid grid = make_grid(cells.shape, cells.strides, room.chunk_bits);
    const MadeTables tables = make_tables(points, room.chunk_bits, stream);
    Sorted sorted{};
    sorted.chunk_bits = room.chunk_bits;
    sorted.slice = room.slice;
    sorted.slices = std::min((size - 1) / sorted.slice + 1, kSlicesAtOnce);
    const Array<uint32_t> begins(static_cast<size_t>(grid.chunks) * sorted.slices * (sorted.slice + 1),
                                 stream),
        places(grid.chunks, stream), found(1, stream);
    const Array<uint16_t> order(grid.chunks * sorted.room(), stream);
    const Array<CrowdPiece> pieces(most_pieces(cells.index.size), stream);
    sorted.begins = begins.data();
    sorted.order = order.data();
    sorted.places = places.data();
    sorted.crowds = {pieces.data(), found.data()};
    const auto points_here = static_cast<unsigned>(points.size());
    for (sorted.base = 0; sorted.base < size; sorted.base += sorted.slice * sorted.slices) {
      sorted.rows = std::min(size - sorted.base, sorted.slice * sorted.slices);
      check(cudaMemsetAsync(found.data(), 0, sizeof(uint32_t), stream));
      visit_integers(cells.index, [&](auto* data) {
        using T = std::decay_t<decltype(*data)>;
        check(cudaFuncSetAttribute(sort_cells_kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(room.bytes())));
        const unsigned parts = (sorted.rows - 1) / sorted.slice + 1;
        launch(sort_cells_kernel<T>, {dim3(grid.chunks, parts), kSortBlock, room.bytes()}, stream, grid,
               Index<T>{data, cells.first, size, cells.mask}, sorted);
      });
      const unsigned across = blocks_for(sorted.rows, kBlock / 2);
      const unsigned wanted = 8 * resident_blocks(add_rows_kernel) / (across * points_here) + 1;
      const unsigned share = (grid.chunks - 1) / std::min(grid.chunks, wanted) + 1;
      const unsigned parts = (grid.chunks - 1) / share + 1;
      launch(add_rows_kernel, {dim3(across, parts * points_here), kBlock}, stream, sorted, tables.view,
             grid.chunks, share, points_here, size, sums.data());
      const unsigned some = std::min(resident_blocks(add_crowds_kernel), blocks_for(cells.index.size));
      launch(add_crowds_kernel, {dim3(some, points_here), kBlock}, stream, sorted, tables.view, size,
             sums.data());
    }
    count_field_mults(points.size() * size * tables.view.rows);
  }
  settle_cells(sums.data(), size * points.size(), out, stream);
}

}  // namespace zkcore::cuda
