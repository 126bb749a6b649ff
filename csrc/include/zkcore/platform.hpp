// What differs between a host compiler and nvcc.
#pragma once

#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__
#define ZK_HD __host__ __device__
#define ZK_INLINE __forceinline__
#define ZK_UNROLL _Pragma("unroll")
#else
#define ZK_HD
#define ZK_INLINE __attribute__((always_inline)) inline
#define ZK_UNROLL _Pragma("GCC unroll 16")
#endif

// Inline x86 assembly is for host code of a build that may assume the instructions (see csrc/CMakeLists.txt).
#if defined(__x86_64__) && defined(__BMI2__) && defined(__ADX__) && !defined(__CUDACC__) && \
    !defined(ZKCORE_NO_ASM)
#define ZK_X86_ADX 1
#else
#define ZK_X86_ADX 0
#endif

// GCC does not find the carry chain in 128-bit arithmetic; it does in its builtins.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__) && \
    !defined(ZKCORE_NO_ASM)
#define ZK_X86_CARRY 1
#else
#define ZK_X86_CARRY 0
#endif

// Code for the GPU: carry chains in PTX. The headers are seen by both passes of nvcc, the code by one.
#ifdef __CUDACC__
#define ZK_PTX 1
#endif
#if defined(ZK_PTX) && defined(__CUDA_ARCH__)
#define ZK_PTX_CODE 1
#else
#define ZK_PTX_CODE 0
#endif

namespace zkcore {

__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 i128;

}  // namespace zkcore
