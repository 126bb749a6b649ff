// The verbs on a GPU: the same names, meanings and bits as the host's, on device pointers and a stream. Only
// numbers cross to the host, and only where a result is one; nothing else is copied.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "zkcore/curve_map.hpp"
#include "zkcore/msm.hpp"
#include "zkcore/multilinear.hpp"
#include "zkcore/sumcheck.hpp"
#include "zkcore/tree_plan.hpp"

struct CUstream_st;

namespace zkcore::cuda {

using Stream = CUstream_st*;

// ---- the device

// Why there is no usable device, or nothing.
std::optional<std::string> missing();

// Large working memory comes from here; by default, like small pieces, from the runtime's own pool.
struct Allocator {
  std::function<void*(size_t bytes, Stream)> allocate;
  std::function<void(void*, Stream)> release;
};
void set_allocator(Allocator allocator);

// Uninitialized device memory, given back in the order of the stream.
class Memory {
 public:
  Memory() = default;
  Memory(size_t bytes, Stream stream);
  Memory(Memory&& other) noexcept { swap(other); }
  Memory& operator=(Memory&& other) noexcept {
    Memory(std::move(other)).swap(*this);
    return *this;
  }
  ~Memory();
  void* data() const { return data_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  void swap(Memory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(stream_, other.stream_);
    std::swap(own_, other.own_);
  }
  void* data_ = nullptr;
  Stream stream_ = nullptr;
  bool own_ = true;  // from the runtime, not from the allocator
};

template <class T>
class Array {
 public:
  Array() = default;
  Array(size_t count, Stream stream) : memory_(count * sizeof(T), stream) {}
  T* data() const { return static_cast<T*>(memory_.data()); }
  explicit operator bool() const { return static_cast<bool>(memory_); }

 private:
  Memory memory_;
};

// Verbs take the device for one of so many bytes, where they choose how much to do at once; 0: as it is.
void plan_with(size_t bytes);

// Results that kernels write into the host's memory; read after `wait`. A kernel leaves its ticket behind its
// results: the host sees that sooner than the end of the kernel.
class Mailbox {
 public:
  explicit Mailbox(size_t count);
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  Fr* data() const { return data_; }
  uint64_t* flag() const { return reinterpret_cast<uint64_t*>(data_ + count_); }
  // For the next kernel on the stream that is waited for.
  uint64_t new_ticket();
  // Until the kernel with the last ticket has delivered.
  void wait(Stream stream) const;

 private:
  Fr* data_;
  size_t count_;
  uint64_t ticket_ = 0;
};

// ---- columns

constexpr size_t kMaxTerms = 8, kMaxAxes = 8;  // of a form over a domain

// out[x] = sum of scale * eq(point, x) over at most kMostEqTables points of as many variables, and 0 where
// the mask is 0 (null: nowhere).
constexpr int kMostEqTables = 4;
using ScaledPoint = std::pair<Fr, std::vector<Fr>>;
void eq_sum(std::span<const ScaledPoint> points, const int8_t* mask, Fr* out, Stream stream);

// A lookup's cells, and the table row that each refers to: index - first, row 0 where that is none of `size`
// rows. Row-major; the mask's entries lie `strides` apart by axis, and where it is 0 a cell is left out
// (null: nowhere).
struct LookedUp {
  Column index;
  int64_t first;
  uint32_t size;
  std::vector<size_t> shape;  // at most kMaxAxes
  const int8_t* mask;
  std::vector<int64_t> strides;
};
// out[k][row] = sum of eq(point k, cell) over the cells that refer to the row; a point has the variables of
// all axes, each padded to a power of two.
void eq_by_row(const LookedUp& cells, std::span<const std::vector<Fr>> points, Fr* out, Stream stream);

void from_ints(const Column& column, Fr* out, Stream stream);
void eq_table(std::span<const Fr> point, const Fr& scale, Fr* out, Stream stream);
void contract(const Column& column, size_t outer, size_t k, size_t inner, const Fr* weights, Fr* out,
              Stream stream);
// `weights`: k of them, or more.
struct Fold {
  size_t outer, k, inner;
  const Fr* weights;
};
// One after the other, each of what the one before it left; at least one, none of no entries.
void contract_all(const Column& column, const std::vector<Fold>& folds, Fr* out, Stream stream);
Fr dot(const Column& a, const Column& b, Stream stream);
void combine(std::span<const LinearTerm> terms, const Fr& constant, size_t length, Fr* out, Stream stream);
void multiply(const Column& a, const Column& b, Fr* out, Stream stream);
void batch_inverse(const Fr* values, size_t count, Fr* out, Stream stream);
// False if an index lies outside [0, size).
bool scatter_add(const int64_t* index, const Fr* values, size_t count, size_t size, Fr* out, Stream stream);

// For benchmarks: x <- x y, y <- y x, `rounds` times for pairs of values, in registers; out[n / 2]. The
// number of products, which may leave out some pairs.
size_t multiply_chains(const Fr* values, size_t n, int rounds, Fr* out, Stream stream);

// ---- lookups

// out[i] = table[index[i] - first], of the table's type; of row 0 where that is none.
void lookup_values(const Column& index, int64_t first, const Column& table, void* out, Stream stream);

// An integer array over a domain: `strides` in entries, by axis, 0 where it is repeated; it is zero from
// `stored` on.
struct Spread {
  int64_t coefficient;
  Column column;
  std::vector<int64_t> strides;
  std::vector<size_t> stored;
};

// An affine sum over a domain of `shape`; the constant lives on the real cells. With `bits` its digits
// (sum >> shift) mod 2^bits are meant.
struct Affine64 {
  std::vector<Spread> terms;
  int64_t constant;
  std::vector<size_t> real, shape;
  int shift, bits;
};
// Row-major, as integers of type `kind`. *lost becomes 1 if a partial sum leaves +-2^62, or a value that
// type; else it stays.
void affine(const Affine64& form, ColumnType kind, void* out, int32_t* lost, Stream stream);

// out[row]: how many of these are `row`, of those where `chosen` is not 0 (null: of all).
void tally_rows(const Column& index, const int8_t* chosen, int64_t first, uint32_t size, int64_t* out,
                Stream stream);

// ---- products of integer matrices by GEMMs of signed bytes

// A matrix [rows, steps], if `across` stored as [steps, rows], of integers of `digits` <= 4 bytes: out[digit,
// row, step], bytes of the value less 128 but for the top one. sums[row]: of the values. steps: a multiple of
// four.
void split_bytes(const Column& matrix, size_t rows, size_t steps, bool across, unsigned digits, int8_t* out,
                 int64_t* sums, Stream stream);

// Of digits: [row_digits, rows, column_digits, columns]. The result lies as [columns / inner, rows, inner].
struct Product {
  size_t rows;
  unsigned columns, inner;  // multiples of 4
  unsigned row_digits, column_digits;
};
// Adds factor * sums[row or column].
struct Correction {
  const int64_t* sums;
  uint64_t factor;
};

// out = sum over d, e of 256^(d + e) products[d, row, e, column] + corrections + constant.
void join_products(const int32_t* products, const Product& shape, const Correction& of_rows,
                   const Correction& of_columns, int64_t constant, int64_t* out, Stream stream);

// ---- sumcheck and fraction tree

// One round state for all sumchecks; see sumcheck.hpp for the polynomial.
class Prover {
 public:
  virtual ~Prover() = default;
  virtual std::vector<Fr> round() = 0;
  virtual void bind(const Fr& challenge) = 0;
  virtual std::vector<Fr> finals() = 0;
  virtual int variables() const = 0;
  virtual int degree() const = 0;  // round() has as many values
};

std::unique_ptr<Prover> sumcheck(std::vector<Column> tables, int variables, std::vector<SumcheckTerm> terms,
                                 int degree, std::optional<std::vector<Fr>> eq_point, Stream stream);

struct LeafRun {
  size_t size;
  Column numerator;
  Fr constant;
  std::vector<LinearTerm> denominator;
};

class FractionTree {
 public:
  virtual ~FractionTree() = default;
  virtual int log_size() const = 0;
  virtual std::pair<Fr, Fr> root() const = 0;
  virtual std::unique_ptr<Prover> layer(std::vector<Fr> point, const Fr& batch) = 0;
};

std::unique_ptr<FractionTree> fraction_tree(std::vector<LeafRun> runs, int log_size, const TreePlan& plan,
                                            Stream stream);

// ---- curve

// out[0] = sum of scalars[i] * points[i].
void msm(const Affine* points, const Fr* scalars, size_t n, Affine* out, Stream stream);

// As on the host; `blinder` is the first base's table of a FixedBase, on the device.
void commit_rows(const Affine* generators, const Column& rows, size_t n, size_t width, const Fr* blinds,
                 const Affine* blinder, Affine* out, Stream stream);

// sums[i] = sum_j rows[i][j] * generators[j] for n rows of integers whose magnitudes are at most
// 2^(magnitude_bits - 1): what commit_rows blinds.
void sum_rows(const Affine* generators, const Column& rows, size_t n, size_t width, int magnitude_bits,
              Xyzz* sums, Stream stream);

// out[i] = map_pair(map, pairs[2 i], pairs[2 i + 1]) of curve_map.hpp. `pairs` are on the host and are read
// before this returns.
void map_to_curve(const CurveMap& map, const Fq* pairs, size_t n, Affine* out, Stream stream);

// `weights` are on the host.
void fold_points(const Affine* points, const Fr* weights, size_t k, size_t n, Affine* out, Stream stream);

}  // namespace zkcore::cuda
