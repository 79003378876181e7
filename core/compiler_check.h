// The compiler's flags that the canonical order (core/kernel.h) needs, checked. The toolchain of
// this repository gives them (tools/bazel/cc_toolchains.bzl); another one may not.
#ifndef TVL_CORE_COMPILER_CHECK_H_
#define TVL_CORE_COMPILER_CHECK_H_

#if __cplusplus <= 201703L
#error "tvl needs C++20: compile with -std=c++20, or use tvl's toolchain (README.md, Extend it)"
#endif

// __GCC_IEC_559 tells of the parts of -ffast-math when they are given one by one.
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ != 0) || \
    (defined(__GCC_IEC_559) && __GCC_IEC_559 == 0)
#error "tvl promises the same bits everywhere: compile without -Ofast, -ffast-math and their parts"
#endif

namespace tvl {

// False where the compiler fuses a product with a sum, or reorders sums: no macro tells of
// -ffp-contract, whose default in C++ is to fuse. Answers for the flags of the file that calls it.
inline bool CompilerKeepsRoundings() {
  volatile float a = 1 + 0x1p-12f, tiny = 0x1p-30f;  // volatile: not to be answered by the compiler
  const float x = a, y = a, z = tiny;
  // x * y is 1 + 2^-11 + 2^-24, and rounds to 1 + 2^-11.
  return x * y - (1 + 0x1p-11f) == 0 && (x + z) - x == 0;
}

}  // namespace tvl

#endif  // TVL_CORE_COMPILER_CHECK_H_
