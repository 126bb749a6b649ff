// The prover's side of sumcheck on the device; see zkcore/sumcheck.hpp for the polynomial.
//
// round and bind are fused: bind only keeps the challenge, and the next round binds and sums in one pass.
// With the claim known, s(1) is implied and so q(1): the sums are taken at `degree of q` points only. The
// claim follows from round to round; where it is unknown, one more point is summed.
#pragma once

#include "cuda/sumcheck_round.cuh"

namespace zkcore::cuda {

// eq(w, .): host values for the current variable, device tables for those after it, for every round.
class SplitEq {
 public:
  SplitEq(std::vector<Fr> point, Stream stream);
  Fr at_zero() const { return scale_ * (Fr::one() - point_[current_]); }
  Fr at_one() const { return scale_ * point_[current_]; }
  void bind(const Fr& r);
  EqView view() const;
  // Sum over the first `count` indices of the variables after the current one.
  Fr prefix_sum(size_t count) const;

 private:
  std::vector<Fr> point_;
  size_t current_ = 0;
  Fr scale_ = Fr::one();
  Array<Fr> levels_;  // tables of the last j variables, at offset 2^j, for each of the two parts
  size_t outer_variables_ = 0, inner_variables_ = 0;
};

// What the rounds sum over. Sums are added to `sums` by the caller's order of points; see SumcheckState.
class RoundTables {
 public:
  virtual ~RoundTables() = default;
  virtual int degree() const = 0;  // of the polynomial without eq
  // Whether kBothLeading is offered, without a challenge to bind.
  virtual bool sums_both_ends() const { return false; }
  // Launches the sums of one pass over `pairs` pairs, first binding `challenge` if there is one (then the
  // tables have 4 * pairs entries).
  virtual void sum(Points points, PointChoice choice, const EqView* eq, size_t pairs,
                   const Fr* challenge) = 0;
  // The sums of the last pass, after waiting for them.
  virtual std::vector<Fr> collect(const SplitEq* eq, size_t pairs) = 0;
  // Binds a table of 2 * half entries.
  virtual void bind(size_t half, const Fr& challenge) = 0;
  // Tables of one entry.
  virtual std::vector<Fr> finals() = 0;
};

class SumcheckState : public Prover {
 public:
  SumcheckState(std::unique_ptr<RoundTables> tables, int variables, int degree,
                std::optional<std::vector<Fr>> eq_point, std::optional<Fr> claim, Stream stream);
  std::vector<Fr> round() override;
  void bind(const Fr& challenge) override;
  std::vector<Fr> finals() override;
  int variables() const override { return variables_; }
  int degree() const override { return degree_; }

 protected:
  RoundTables& tables() { return *tables_; }

 private:
  // q of the current round: values at 0 .. count - 1 and, for e >= 2, the leading coefficient.
  struct Polynomial {
    std::vector<Fr> values;
    Fr leading = Fr::zero();
    Fr at(const Fr& x) const;
  };
  void start();
  const Polynomial& polynomial();
  Fr sum_at(int x, size_t pairs);
  Fr line(const Fr& x) const;

  std::unique_ptr<RoundTables> tables_;
  int variables_;
  int degree_;
  Stream stream_;
  std::optional<SplitEq> eq_;
  std::optional<Fr> claim_;
  std::optional<Fr> pending_;  // a challenge that is not yet bound
  std::optional<Polynomial> polynomial_;
  bool started_ = false;           // the current round's sums are being computed
  bool end_ = false;               // of which the one at 0 or 1 is this end's
  bool both_ = false;              // or both are summed
  Fr inverse_other_ = Fr::zero();  // 1 / the line's value at the other end; 0 if that is 0
};

}  // namespace zkcore::cuda
