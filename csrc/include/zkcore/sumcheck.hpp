// The prover's side of sumcheck over products of multilinear tables, most significant variable first.
//
//   sum_x eq(w, x) * sum_k c_k * prod_{j in term k} table_j(x)
//
// The factor eq is optional and never tabulated whole. Its current variable is split off (Gruen, eprint
// 2024/108, section 3.2): s(X) = l(X) * q(X) with l linear and known, and q is summed against eq over the
// variables after it, which is itself a product of two tables of square-root size.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "zkcore/field_buffer.hpp"
#include "zkcore/multilinear.hpp"

namespace zkcore {

constexpr int kMaxDegree = 16;

struct SumcheckTerm {
  Fr coefficient;
  std::vector<int> factors;  // indices of tables, repetition allowed
};

// A run of consecutive entries of one table. One of the two pointers is set.
struct Lane {
  const Fr* field = nullptr;
  const int64_t* ints = nullptr;
};

// Room for one lane where a source cannot point into its own memory.
constexpr size_t kLaneSize = 64;
struct LaneRoom {
  Fr field[kLaneSize];
  int64_t ints[kLaneSize];
};

// Where tables come from. All have the same length, of which only the first used() entries are arbitrary:
// from there on table j is constant, tail(j).
class TableSource {
 public:
  virtual ~TableSource() = default;
  virtual int tables() const = 0;
  virtual size_t used() const = 0;
  virtual Fr tail(int table) const = 0;
  // Magnitude of a table's entries: at most 2^bits if it gives integers, 0 if it gives field elements.
  virtual int bits(int table) const = 0;
  // Entries [begin, begin + count) of every table, count <= kLaneSize; they may lie beyond used().
  virtual void load(size_t begin, size_t count, Lane* lanes, LaneRoom* room) const = 0;
  // Adds to the counters what loading every entry once costs.
  virtual void count_pass() const {}
  // Takes the first variable as bound, where bound tables would be too large to be held; false: they are to
  // be made.
  virtual bool bind_unheld(const Fr&) { return false; }
  // Memory of a table that may be overwritten by its own bound entries; null if there is none.
  virtual FieldBuffer release(int) { return nullptr; }
};

// Tables that lie in memory, either the caller's or this object's own. Only field tables may have a tail.
class ArrayTables : public TableSource {
 public:
  struct Table {
    Column prefix;  // `used` entries
    Fr tail;
    FieldBuffer owned;  // what prefix points to, if anything here does
  };
  ArrayTables(std::vector<Table> tables, size_t used) : tables_(std::move(tables)), used_(used) {}
  static Table own(FieldBuffer entries, size_t size, const Fr& tail);
  int tables() const override { return static_cast<int>(tables_.size()); }
  size_t used() const override { return used_; }
  Fr tail(int table) const override { return tables_[static_cast<size_t>(table)].tail; }
  int bits(int table) const override;
  void load(size_t begin, size_t count, Lane* lanes, LaneRoom* room) const override;
  FieldBuffer release(int table) override { return std::move(tables_[static_cast<size_t>(table)].owned); }

 private:
  std::vector<Table> tables_;
  size_t used_;
};

// eq(w, .) with its first variables bound, as scale * eq(current variable) * outer table * inner table.
class SplitEq {
 public:
  explicit SplitEq(std::vector<Fr> point);
  // l(X) at X = 0, and its slope.
  Fr at_zero() const;
  Fr slope() const;
  void bind(const Fr& r);
  std::span<const Fr> outer() const { return outer_; }
  std::span<const Fr> inner() const { return inner_; }
  // Sum of the tables' product over the first `count` indices.
  Fr prefix_sum(size_t count) const;

 private:
  std::vector<Fr> point_;
  size_t current_ = 0;
  Fr scale_;
  std::vector<Fr> outer_, inner_;  // over the variables after the current one
};

class Sumcheck {
 public:
  Sumcheck(std::unique_ptr<TableSource> source, int variables, std::vector<SumcheckTerm> terms, int degree,
           std::optional<std::vector<Fr>> eq_point);

  // Evaluations at 0, 2, 3, ..., degree. Needs an unbound variable.
  std::vector<Fr> round() const;
  void bind(const Fr& challenge);
  // Each table's value, once nothing is unbound.
  std::vector<Fr> finals() const;
  int variables() const { return variables_; }
  int degree() const { return degree_; }

 private:
  std::unique_ptr<TableSource> source_;
  int variables_;
  std::vector<SumcheckTerm> terms_;
  int degree_;
  std::optional<SplitEq> eq_;
};

}  // namespace zkcore
