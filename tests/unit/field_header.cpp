// Reads "field operation a b" per line (hex integers), prints the result as hex: driven by
// test_field_header.py.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include "zkcore/field.hpp"
#include "zkcore/inverse.hpp"

namespace {

using namespace zkcore;

template <class F>
Limbs<F::N> parse(const std::string& hex) {
  Limbs<F::N> limbs{};
  for (size_t i = 0; i < hex.size(); ++i) {
    const char c = hex[hex.size() - 1 - i];
    limbs.v[i / 16] |= static_cast<uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10) << (4 * (i % 16));
  }
  return limbs;
}

// Pairs of an integer from the limbs of a and a multiple of b.
template <class F>
F wide_sum(const F& a, const F& b) {
  WideAcc<F> acc, rest;
  for (int round = 0; round < 50; ++round) {
    F multiple = b;
    for (int i = 0; i < F::N; ++i, multiple += b)
      (i % 2 ? acc : rest).add(static_cast<int64_t>(a.v[i]), multiple);
  }
  acc.add(rest);
  return acc.reduce();
}

template <class F>
F wide_sum_plain(const F& a, const F& b) {
  F sum = F::zero();
  F multiple = b;
  for (int i = 0; i < F::N; ++i, multiple += b) sum += F::from_int64(static_cast<int64_t>(a.v[i])) * multiple;
  return sum * F::from_int64(50);
}

template <class F>
F product_sum(const F& a, const F& b) {
  ProductAcc<F> acc;
  for (int i = 0; i < 100; ++i) acc.add(i % 3 ? a : -F::one(), i % 2 ? b : a);
  return acc.reduce();
}

template <class F>
F product_sum_plain(const F& a, const F& b) {
  F sum = F::zero();
  for (int i = 0; i < 100; ++i) sum += (i % 3 ? a : -F::one()) * (i % 2 ? b : a);
  return sum;
}

template <class F>
F evaluate(const std::string& operation, const F& a, const F& b) {
  if (operation == "add") return a + b;
  if (operation == "sub") return a - b;
  if (operation == "neg") return -a;
  if (operation == "dbl") return a.dbl();
  if (operation == "mul") return a * b;
  if (operation == "sqr") return a.sqr();
  if (operation == "inverse") return inverse(a);
  if (operation == "fermat") return a.inverse_fermat();
  if (operation == "pow") return a.pow(b.to_limbs().v, F::N);
  if (operation == "int64") return F::from_int64(static_cast<int64_t>(a.to_limbs().v[0]));
  if (operation == "wide") return wide_sum(a, b) - wide_sum_plain(a, b);
  if (operation == "product") return product_sum(a, b) - product_sum_plain(a, b);
  if (operation == "equal") return a == b ? F::one() : F::zero();
  if (operation == "bytes") {
    uint8_t bytes[F::kBytes];
    a.to_bytes_le(bytes);
    F r{};
    return F::from_bytes_le(bytes, r) ? r : -F::one();
  }
  std::abort();
}

template <class F>
void answer(const std::string& operation, const std::string& a, const std::string& b) {
  F r;
  if (operation == "integer") {
    r = F::from_integer(parse<F>(a));
  } else if (operation == "canonical") {
    const Limbs<F::N> limbs = parse<F>(a);
    uint8_t bytes[F::kBytes];
    for (size_t i = 0; i < F::kBytes; ++i) bytes[i] = static_cast<uint8_t>(limbs.v[i / 8] >> (8 * (i % 8)));
    r = F::from_bytes_le(bytes, r) ? F::one() : F::zero();
  } else {
    r = evaluate(operation, F::from_integer(parse<F>(a)), F::from_integer(parse<F>(b)));
  }
  const Limbs<F::N> limbs = r.to_limbs();
  for (int i = F::N; i-- > 0;) std::printf("%016llx", static_cast<unsigned long long>(limbs.v[i]));
  std::printf("\n");
}

}  // namespace

int main() {
  std::string field, operation, a, b;
  while (std::cin >> field >> operation >> a >> b) {
    if (field == "r") {
      answer<Fr>(operation, a, b);
    } else {
      answer<Fq>(operation, a, b);
    }
  }
}
