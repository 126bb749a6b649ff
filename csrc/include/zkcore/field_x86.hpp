// Montgomery multiplication with the two carry chains of x86 (mulx, adcx, adox), included by field.hpp only.
//
// Same algorithm as the portable loop in field.hpp: for each limb b_i, first t += a * b_i, then t = (t + m * p) / 2^64
// with m = -t_0 / p mod 2^64. The low halves of the products ride on one carry flag, the high halves on the other.
// The result is below 2p, not reduced.
#pragma once

#include "zkcore/platform.hpp"

#define ZK_STR_(x) #x
#define ZK_STR(x) ZK_STR_(x)

// t_j += high, high:low = a_j * rdx, t_j += low.
#define ZK_PRODUCT_STEP(j)                                         \
  "adcx %[high], %[t" #j "]\n\t"                                   \
  "mulx 8*" #j "(%[a]), %[low], %[high]\n\t"                       \
  "adox %[low], %[t" #j "]\n\t"

// The same for the reduction, which also moves every limb down by one: t_{j-1} = t_j + previous high + low of m * p_j.
#define ZK_REDUCE_STEP(i, j)                                       \
  "adcx %[t" #j "], %[t" #i "]\n\t"                                \
  "mulx 8*" #j "(%[p]), %[low], %[t" #j "]\n\t"                    \
  "adox %[low], %[t" #i "]\n\t"

// First limb of b: t = a * b_0, with t[last] continued in `high`.
#define ZK_FIRST_PRODUCT_STEP(i, j)                                \
  "mulx 8*" #j "(%[a]), %[low], %[t" #j "]\n\t"                    \
  "adcx %[low], %[t" #i "]\n\t"

#define ZK_PRODUCT_BEGIN(i)                                        \
  "movq 8*" #i "(%[b]), %%rdx\n\t"                                 \
  "xorl %k[low], %k[low]\n\t"                                      \
  "mulx (%[a]), %[low], %[high]\n\t"                               \
  "adox %[low], %[t0]\n\t"

#define ZK_PRODUCT_END                                             \
  "movl $0, %k[low]\n\t"                                           \
  "adcx %[low], %[high]\n\t"                                       \
  "adox %[low], %[high]\n\t"

#define ZK_REDUCE_BEGIN                                            \
  "movq %[t0], %%rdx\n\t"                                          \
  "imulq %[factor], %%rdx\n\t"                                     \
  "xorl %k[low], %k[low]\n\t"                                      \
  "mulx (%[p]), %[low], %[spare]\n\t"                              \
  "adcx %[t0], %[low]\n\t"                                         \
  "movq %[spare], %[t0]\n\t"

#define ZK_REDUCE_END(last)                                        \
  "movl $0, %k[low]\n\t"                                           \
  "adcx %[low], %[t" #last "]\n\t"                                 \
  "adox %[high], %[t" #last "]\n\t"

namespace zkcore::x86 {

template <int N, uint64_t kFactor>
ZK_INLINE void montgomery_mul(uint64_t* r, const uint64_t* a, const uint64_t* b, const uint64_t* p) {
  static_assert(N == 4 || N == 6);
  uint64_t low, high, spare;
  const uint64_t factor = kFactor;
  if constexpr (N == 4) {
    uint64_t t0, t1, t2, t3;
#define ZK_REDUCE4 \
  ZK_REDUCE_BEGIN ZK_REDUCE_STEP(0, 1) ZK_REDUCE_STEP(1, 2) ZK_REDUCE_STEP(2, 3) ZK_REDUCE_END(3)
#define ZK_ROW4(i) \
  ZK_PRODUCT_BEGIN(i) ZK_PRODUCT_STEP(1) ZK_PRODUCT_STEP(2) ZK_PRODUCT_STEP(3) ZK_PRODUCT_END ZK_REDUCE4
    __asm__(
        "movq (%[b]), %%rdx\n\t"
        "xorl %k[low], %k[low]\n\t"
        "mulx (%[a]), %[t0], %[t1]\n\t"
        "mulx 8(%[a]), %[low], %[t2]\n\t"
        "adcx %[low], %[t1]\n\t"
        "mulx 16(%[a]), %[low], %[t3]\n\t"
        "adcx %[low], %[t2]\n\t"
        "mulx 24(%[a]), %[low], %[high]\n\t"
        "adcx %[low], %[t3]\n\t"
        "movl $0, %k[low]\n\t"
        "adcx %[low], %[high]\n\t" ZK_REDUCE4 ZK_ROW4(1) ZK_ROW4(2) ZK_ROW4(3)
        : [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2), [t3] "=&r"(t3), [low] "=&r"(low), [high] "=&r"(high),
          [spare] "=&r"(spare)
        : [a] "r"(a), [b] "r"(b), [p] "r"(p), [factor] "rm"(factor), "m"(*(const uint64_t(*)[N])a),
          "m"(*(const uint64_t(*)[N])b), "m"(*(const uint64_t(*)[N])p)
        : "rdx", "cc");
#undef ZK_ROW4
#undef ZK_REDUCE4
    r[0] = t0, r[1] = t1, r[2] = t2, r[3] = t3;
  } else {
    uint64_t t0, t1, t2, t3, t4, t5;
#define ZK_REDUCE6                                                                                       \
  ZK_REDUCE_BEGIN ZK_REDUCE_STEP(0, 1) ZK_REDUCE_STEP(1, 2) ZK_REDUCE_STEP(2, 3) ZK_REDUCE_STEP(3, 4)    \
      ZK_REDUCE_STEP(4, 5) ZK_REDUCE_END(5)
#define ZK_ROW6(i)                                                                                       \
  ZK_PRODUCT_BEGIN(i)                                                                                    \
  ZK_PRODUCT_STEP(1) ZK_PRODUCT_STEP(2) ZK_PRODUCT_STEP(3) ZK_PRODUCT_STEP(4) ZK_PRODUCT_STEP(5)         \
      ZK_PRODUCT_END ZK_REDUCE6
    __asm__(
        "movq (%[b]), %%rdx\n\t"
        "xorl %k[low], %k[low]\n\t"
        "mulx (%[a]), %[t0], %[t1]\n\t"
        "mulx 8(%[a]), %[low], %[t2]\n\t"
        "adcx %[low], %[t1]\n\t"
        "mulx 16(%[a]), %[low], %[t3]\n\t"
        "adcx %[low], %[t2]\n\t"
        "mulx 24(%[a]), %[low], %[t4]\n\t"
        "adcx %[low], %[t3]\n\t"
        "mulx 32(%[a]), %[low], %[t5]\n\t"
        "adcx %[low], %[t4]\n\t"
        "mulx 40(%[a]), %[low], %[high]\n\t"
        "adcx %[low], %[t5]\n\t"
        "movl $0, %k[low]\n\t"
        "adcx %[low], %[high]\n\t" ZK_REDUCE6 ZK_ROW6(1) ZK_ROW6(2) ZK_ROW6(3) ZK_ROW6(4) ZK_ROW6(5)
        : [t0] "=&r"(t0), [t1] "=&r"(t1), [t2] "=&r"(t2), [t3] "=&r"(t3), [t4] "=&r"(t4), [t5] "=&r"(t5),
          [low] "=&r"(low), [high] "=&r"(high), [spare] "=&r"(spare)
        : [a] "r"(a), [b] "r"(b), [p] "r"(p), [factor] "m"(factor), "m"(*(const uint64_t(*)[N])a),
          "m"(*(const uint64_t(*)[N])b), "m"(*(const uint64_t(*)[N])p)
        : "rdx", "cc");
#undef ZK_ROW6
#undef ZK_REDUCE6
    r[0] = t0, r[1] = t1, r[2] = t2, r[3] = t3, r[4] = t4, r[5] = t5;
  }
}

}  // namespace zkcore::x86

#undef ZK_FIRST_PRODUCT_STEP
#undef ZK_PRODUCT_STEP
#undef ZK_REDUCE_STEP
#undef ZK_PRODUCT_BEGIN
#undef ZK_PRODUCT_END
#undef ZK_REDUCE_BEGIN
#undef ZK_REDUCE_END
#undef ZK_STR
#undef ZK_STR_
