// The scalar functions of the canonical order that are not IEEE operations. No libm takes part:
// every machine and every compiler gets the same bits. fma and sqrt are IEEE operations and exact
// by definition, so the standard library's are used.
#ifndef TVL_CORE_CANONICAL_MATH_H_
#define TVL_CORE_CANONICAL_MATH_H_

#include <bit>
#include <cmath>
#include <cstdint>

#include "core/compiler_check.h"

namespace tvl {

// Constants of Exp, shared with the vector forms in the backends.
struct ExpConstants {
  static constexpr float kUnderflow = -87.33654f;  // below: +0
  static constexpr float kOverflow = 88.37626f;    // above: +inf
  static constexpr float kLog2E = 1.44269504088896341f;
  static constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  static constexpr float kLn2High = -0.693145751953125f;
  static constexpr float kLn2Low = -1.428606765330187e-06f;
  static constexpr float kC0 = 0.000198527617612853646278381f;
  static constexpr float kC1 = 0.00139304355252534151077271f;
  static constexpr float kC2 = 0.00833336077630519866943359f;
  static constexpr float kC3 = 0.0416664853692054748535156f;
  static constexpr float kC4 = 0.166666671633720397949219f;
  static constexpr float kC5 = 0.5f;
};

inline constexpr uint32_t kCanonicalNaN = 0x7fc00000u;

// Softmax treats a score further than this below the maximum as having no probability: a subnormal
// probability would make the products that follow a hundred times slower and changes nothing that
// can be seen.
inline constexpr float kSoftmaxCut = -72.0f;

// e^x. Worst error over all floats in range: 0.998 ulp (at 80.76).
inline float Exp(float x) {
  using C = ExpConstants;
  if (x != x) return std::bit_cast<float>(kCanonicalNaN);
  if (x < C::kUnderflow) return 0.0f;
  if (x > C::kOverflow) return std::bit_cast<float>(0x7f800000u);
  const float t = std::fma(x, C::kLog2E, C::kRound);
  const uint32_t n = std::bit_cast<uint32_t>(t) - std::bit_cast<uint32_t>(C::kRound);
  const float f = t - C::kRound;
  float r = std::fma(f, C::kLn2High, x);
  r = std::fma(f, C::kLn2Low, r);
  float p = C::kC0;
  p = std::fma(p, r, C::kC1);
  p = std::fma(p, r, C::kC2);
  p = std::fma(p, r, C::kC3);
  p = std::fma(p, r, C::kC4);
  p = std::fma(p, r, C::kC5);
  const float y = 1.0f + std::fma(p * r, r, r);
  return std::bit_cast<float>(std::bit_cast<uint32_t>(y) + (n << 23));
}

// To nearest, ties to even. |x| < 2^21. (nearbyint would do the same, but it is a call.)
inline int32_t RoundToInt(float x) {
  return static_cast<int32_t>(std::bit_cast<uint32_t>(x + ExpConstants::kRound) -
                              std::bit_cast<uint32_t>(ExpConstants::kRound));
}

// Bounds of QuantizeActivations (core/kernel.h), on the bits of a magnitude: that of infinity, and
// 2^-100, below which 127 / a could overflow.
inline constexpr uint32_t kInfinityBits = 0x7f800000u;
inline constexpr uint32_t kTinyBits = 0x0d800000u;

struct SinCos {
  double sin;
  double cos;
};

// Sine and cosine of 0 <= angle < 2^30 radians, absolute error below 2^-52. Used once per position
// and RoPE pair, not in a hot loop: plain Taylor series after reduction to [-pi/4, pi/4].
SinCos CanonicalSinCos(double angle);

// Constants of CanonicalExp and CanonicalLog.
struct DoubleExpConstants {
  static constexpr double kUnderflow = -708.0;  // below: +0; e^-708 is still normal
  static constexpr double kOverflow = 709.0;    // above: +inf
  static constexpr double kLog2E = 1.4426950408889634;
  static constexpr double kRound = 0x1.8p52;  // adding it rounds to an integer
  static constexpr double kLn2High = 0x1.62e42fefa39efp-1;
  static constexpr double kLn2Low = 0x1.abc9e3b39803fp-56;
};

// e^x in double, relative error below 2^-52. Without branches, so that a loop over it can become
// vector code: sums of probabilities take one for every word of a vocabulary.
inline double CanonicalExp(double x) {
  using C = DoubleExpConstants;
  const double t = std::fma(x, C::kLog2E, C::kRound);
  const double n = t - C::kRound;
  const double r = std::fma(-n, C::kLn2Low, std::fma(-n, C::kLn2High, x));
  // Taylor: on |r| <= log(2) / 2 the first omitted term, r^14 / 14!, is below 2^-57.
  double p = 1.0 / 6227020800.0;
  p = std::fma(p, r, 1.0 / 479001600.0);
  p = std::fma(p, r, 1.0 / 39916800.0);
  p = std::fma(p, r, 1.0 / 3628800.0);
  p = std::fma(p, r, 1.0 / 362880.0);
  p = std::fma(p, r, 1.0 / 40320.0);
  p = std::fma(p, r, 1.0 / 5040.0);
  p = std::fma(p, r, 1.0 / 720.0);
  p = std::fma(p, r, 1.0 / 120.0);
  p = std::fma(p, r, 1.0 / 24.0);
  p = std::fma(p, r, 1.0 / 6.0);
  p = std::fma(p, r, 0.5);
  p = std::fma(p, r, 1.0);
  p = std::fma(p, r, 1.0);
  // Selections by masks: GCC makes branches of conditional expressions here, and then no vectors.
  const uint64_t y = std::bit_cast<uint64_t>(p) + (std::bit_cast<uint64_t>(t) << 52);
  const uint64_t in_range = -static_cast<uint64_t>((x >= C::kUnderflow) & (x <= C::kOverflow));
  const uint64_t above = -static_cast<uint64_t>(x > C::kOverflow);
  const uint64_t nan = -static_cast<uint64_t>(x != x);
  return std::bit_cast<double>((y & in_range) | (0x7ff0000000000000u & above) |
                               (std::bit_cast<uint64_t>(x) & nan));
}

// The natural logarithm in double of a positive normal number, relative error below 2^-51.
double CanonicalLog(double x);

// base^exponent in double for base > 0 and a result in the range of f32; relative error below
// (2 |y| + 8) 2^-53, y the natural logarithm of the result. Importers use it for RoPE frequencies,
// so that a conversion gives the same bytes on every machine.
double CanonicalPow(double base, double exponent);

}  // namespace tvl

#endif  // TVL_CORE_CANONICAL_MATH_H_
