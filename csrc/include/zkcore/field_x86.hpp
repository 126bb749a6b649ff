// Montgomery multiplication with the two carry chains of x86 (mulx, adcx, adox), included by field.hpp only.
//
// Same algorithm as the portable loop in field.hpp: for each limb b_i, first t += a * b_i, then
// t = (t + m * p) / 2^64 with m = -t_0 / p mod 2^64. The low halves of the products ride on one carry flag,
// the high halves on the other. The result is below 2p, not reduced.
#pragma once

#include "zkcore/platform.hpp"

// clang-format off

// t = a * b_0, the top limb in `high`: one carry chain is enough. STEP puts the high half of a_j b_0 into t_k, k = j + 1.
#define ZK_FIRST_BEGIN \
  "movq (%[b]), %%rdx\n\t" \
  "xorl %k[low], %k[low]\n\t" \
  "mulx (%[a]), %[t0], %[t1]\n\t"
#define ZK_FIRST_STEP(j, k) \
  "mulx 8*" #j "(%[a]), %[low], %[t" #k "]\n\t" \
  "adcx %[low], %[t" #j "]\n\t"
#define ZK_FIRST_END(last) \
  "mulx 8*" #last "(%[a]), %[low], %[high]\n\t" \
  "adcx %[low], %[t" #last "]\n\t" \
  "movl $0, %k[low]\n\t" \
  "adcx %[low], %[high]\n\t"

// t += a * b_i, the new top limb in `high`.
#define ZK_PRODUCT_BEGIN(i) \
  "movq 8*" #i "(%[b]), %%rdx\n\t" \
  "xorl %k[low], %k[low]\n\t" \
  "mulx (%[a]), %[low], %[high]\n\t" \
  "adox %[low], %[t0]\n\t"
#define ZK_PRODUCT_STEP(j) \
  "adcx %[high], %[t" #j "]\n\t" \
  "mulx 8*" #j "(%[a]), %[low], %[high]\n\t" \
  "adox %[low], %[t" #j "]\n\t"
#define ZK_PRODUCT_END \
  "movl $0, %k[low]\n\t" \
  "adcx %[low], %[high]\n\t" \
  "adox %[low], %[high]\n\t"

// t = (t + m * p) / 2^64: every limb moves down by one, STEP(i, j) with i = j - 1.
#define ZK_REDUCE_BEGIN \
  "movq %[t0], %%rdx\n\t" \
  "imulq %[factor], %%rdx\n\t" \
  "xorl %k[low], %k[low]\n\t" \
  "mulx (%[p]), %[low], %[spare]\n\t" \
  "adcx %[t0], %[low]\n\t" \
  "movq %[spare], %[t0]\n\t"
#define ZK_REDUCE_STEP(i, j) \
  "adcx %[t" #j "], %[t" #i "]\n\t" \
  "mulx 8*" #j "(%[p]), %[low], %[t" #j "]\n\t" \
  "adox %[low], %[t" #i "]\n\t"
#define ZK_REDUCE_END(last) \
  "movl $0, %k[low]\n\t" \
  "adcx %[low], %[t" #last "]\n\t" \
  "adox %[high], %[t" #last "]\n\t"

#define ZK_REDUCE4 \
  ZK_REDUCE_BEGIN ZK_REDUCE_STEP(0, 1) ZK_REDUCE_STEP(1, 2) ZK_REDUCE_STEP(2, 3) ZK_REDUCE_END(3)
#define ZK_FIRST4 \
  ZK_FIRST_BEGIN ZK_FIRST_STEP(1, 2) ZK_FIRST_STEP(2, 3) ZK_FIRST_END(3) ZK_REDUCE4
#define ZK_ROW4(i) \
  ZK_PRODUCT_BEGIN(i) ZK_PRODUCT_STEP(1) ZK_PRODUCT_STEP(2) ZK_PRODUCT_STEP(3) ZK_PRODUCT_END ZK_REDUCE4

#define ZK_REDUCE6 \
  ZK_REDUCE_BEGIN ZK_REDUCE_STEP(0, 1) ZK_REDUCE_STEP(1, 2) ZK_REDUCE_STEP(2, 3) ZK_REDUCE_STEP(3, 4) \
  ZK_REDUCE_STEP(4, 5) ZK_REDUCE_END(5)
#define ZK_FIRST6 \
  ZK_FIRST_BEGIN ZK_FIRST_STEP(1, 2) ZK_FIRST_STEP(2, 3) ZK_FIRST_STEP(3, 4) ZK_FIRST_STEP(4, 5) ZK_FIRST_END(5) \
  ZK_REDUCE6
#define ZK_ROW6(i) \
  ZK_PRODUCT_BEGIN(i) ZK_PRODUCT_STEP(1) ZK_PRODUCT_STEP(2) ZK_PRODUCT_STEP(3) ZK_PRODUCT_STEP(4) \
  ZK_PRODUCT_STEP(5) ZK_PRODUCT_END ZK_REDUCE6

// t_i .. t_{i+4} += a * b_i without reduction: low halves on one chain, high halves on the other; t_{i+4} is new.
#define ZK_WIDE_ROW(b_offset, i, j, k, l, m) \
  "movq " #b_offset "(%[b]), %%rdx\n\t" \
  "xorl %k[low], %k[low]\n\t" \
  "mulx (%[a]), %[low], %[high]\n\t" \
  "adox %[low], %[t" #i "]\n\t" \
  "adcx %[high], %[t" #j "]\n\t" \
  "mulx 8(%[a]), %[low], %[high]\n\t" \
  "adox %[low], %[t" #j "]\n\t" \
  "adcx %[high], %[t" #k "]\n\t" \
  "mulx 16(%[a]), %[low], %[high]\n\t" \
  "adox %[low], %[t" #k "]\n\t" \
  "adcx %[high], %[t" #l "]\n\t" \
  "mulx 24(%[a]), %[low], %[t" #m "]\n\t" \
  "adox %[low], %[t" #l "]\n\t" \
  "movl $0, %k[low]\n\t" \
  "adcx %[low], %[t" #m "]\n\t" \
  "adox %[low], %[t" #m "]\n\t"

// clang-format on

namespace zkcore::x86 {

template <int N, uint64_t kFactor>
ZK_INLINE void montgomery_mul(uint64_t* r, const uint64_t* a, const uint64_t* b, const uint64_t* p) {
  static_assert(N == 4 || N == 6);
  using Operand = const uint64_t (*)[N];  // names the memory read, for the compiler
  const uint64_t factor = kFactor;
  uint64_t low, high, spare, t0, t1, t2, t3;
  if constexpr (N == 4) {
    __asm__(ZK_FIRST4 ZK_ROW4(1) ZK_ROW4(2) ZK_ROW4(3)
            : [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2), [t3] "=&r"(t3), [low] "=&r"(low),
              [high] "=&r"(high), [spare] "=&r"(spare)
            : [a] "r"(a), [b] "r"(b), [p] "r"(p), [factor] "rm"(factor), "m"(*Operand(a)), "m"(*Operand(b)),
              "m"(*Operand(p))
            : "rdx", "cc");
    r[0] = t0, r[1] = t1, r[2] = t2, r[3] = t3;
  } else {
    uint64_t t4, t5;
    __asm__(ZK_FIRST6 ZK_ROW6(1) ZK_ROW6(2) ZK_ROW6(3) ZK_ROW6(4) ZK_ROW6(5)
            : [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2), [t3] "=&r"(t3), [t4] "=&r"(t4), [t5] "=&r"(t5),
              [low] "=&r"(low), [high] "=&r"(high), [spare] "=&r"(spare)
            : [a] "r"(a), [b] "r"(b), [p] "r"(p), [factor] "m"(factor), "m"(*Operand(a)), "m"(*Operand(b)),
              "m"(*Operand(p))
            : "rdx", "cc");
    r[0] = t0, r[1] = t1, r[2] = t2, r[3] = t3, r[4] = t4, r[5] = t5;
  }
}

// r (8 limbs) = a * b (4 limbs each).
ZK_INLINE void wide_mul4(uint64_t* r, const uint64_t* a, const uint64_t* b) {
  using Operand = const uint64_t (*)[4];
  uint64_t low, high, t0, t1, t2, t3, t4, t5, t6, t7;
  __asm__(
      ZK_FIRST_BEGIN ZK_FIRST_STEP(1, 2) ZK_FIRST_STEP(2, 3) "mulx 24(%[a]), %[low], %[t4]\n\t"
      "adcx %[low], %[t3]\n\t"
      "movl $0, %k[low]\n\t"
      "adcx %[low], %[t4]\n\t" ZK_WIDE_ROW(8, 1, 2, 3, 4, 5) ZK_WIDE_ROW(16, 2, 3, 4, 5, 6)
          ZK_WIDE_ROW(24, 3, 4, 5, 6, 7)
      : [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2), [t3] "=&r"(t3), [t4] "=&r"(t4), [t5] "=&r"(t5),
        [t6] "=&r"(t6), [t7] "=&r"(t7), [low] "=&r"(low), [high] "=&r"(high)
      : [a] "r"(a), [b] "r"(b), "m"(*Operand(a)), "m"(*Operand(b))
      : "rdx", "cc");
  r[0] = t0, r[1] = t1, r[2] = t2, r[3] = t3, r[4] = t4, r[5] = t5, r[6] = t6, r[7] = t7;
}

}  // namespace zkcore::x86

#undef ZK_FIRST_BEGIN
#undef ZK_FIRST_STEP
#undef ZK_FIRST_END
#undef ZK_PRODUCT_BEGIN
#undef ZK_PRODUCT_STEP
#undef ZK_PRODUCT_END
#undef ZK_REDUCE_BEGIN
#undef ZK_REDUCE_STEP
#undef ZK_REDUCE_END
#undef ZK_REDUCE4
#undef ZK_FIRST4
#undef ZK_ROW4
#undef ZK_REDUCE6
#undef ZK_FIRST6
#undef ZK_ROW6
#undef ZK_WIDE_ROW
