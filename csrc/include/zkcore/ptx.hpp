// 32-bit carry-chain instructions of the GPU. The carry flag lives from one statement to the next: nothing
// that sets it may stand between them.
#pragma once

#include <cstdint>

namespace zkcore::ptx {

#define ZK_PTX2(name, text)                                          \
  __device__ __forceinline__ uint32_t name(uint32_t a, uint32_t b) { \
    uint32_t r;                                                      \
    asm volatile(text " %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));    \
    return r;                                                        \
  }
#define ZK_PTX3(name, text)                                                      \
  __device__ __forceinline__ uint32_t name(uint32_t a, uint32_t b, uint32_t c) { \
    uint32_t r;                                                                  \
    asm volatile(text " %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));    \
    return r;                                                                    \
  }

ZK_PTX2(add_cc, "add.cc.u32")
ZK_PTX2(addc_cc, "addc.cc.u32")
ZK_PTX2(addc, "addc.u32")
ZK_PTX2(sub_cc, "sub.cc.u32")
ZK_PTX2(subc_cc, "subc.cc.u32")
ZK_PTX2(subc, "subc.u32")
ZK_PTX2(mul_lo, "mul.lo.u32")
ZK_PTX2(mul_hi, "mul.hi.u32")
ZK_PTX3(mad_lo_cc, "mad.lo.cc.u32")
ZK_PTX3(madc_lo_cc, "madc.lo.cc.u32")
ZK_PTX3(mad_hi_cc, "mad.hi.cc.u32")
ZK_PTX3(madc_hi_cc, "madc.hi.cc.u32")
ZK_PTX3(madc_hi, "madc.hi.u32")
ZK_PTX3(madc_hi_signed, "madc.hi.s32")

#undef ZK_PTX2
#undef ZK_PTX3

// Zero, but not to the compiler: seeing a plain negation, ptxas rewrites the products with it and loses the
// fused wide multiply-adds. Grids here have one layer.
__device__ __forceinline__ uint32_t opaque_zero() { return blockIdx.z; }

// Brings the 32 bytes at `address` into the second-level cache.
__device__ __forceinline__ void prefetch(const void* address) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(address));
}

// D += A B for 8-bit matrices A [16, 32] by rows and B [32, 8] by columns, 32-bit sums: one tensor-core
// instruction of a warp. The letters say signed or unsigned, A first.
#define ZK_MMA(name, types)                                                                \
  __device__ __forceinline__ void name(int32_t* d, const uint32_t* a, const uint32_t* b) { \
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32." types                            \
                 ".s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"              \
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])                          \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));      \
  }

ZK_MMA(mma_su, "s8.u8")
ZK_MMA(mma_us, "u8.s8")
ZK_MMA(mma_uu, "u8.u8")

#undef ZK_MMA

}  // namespace zkcore::ptx
