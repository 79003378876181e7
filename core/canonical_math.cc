#include "core/canonical_math.h"

#include <bit>
#include <cmath>
#include <cstdint>

namespace tvl {
namespace {

// Taylor coefficients, smallest term first. On |r| <= pi/4 the first omitted term is below 2^-58 of
// the result.
double SinTaylor(double r) {
  constexpr double kFactorials[] = {355687428096000.0, 1307674368000.0, 6227020800.0, 39916800.0,
                                    362880.0,          5040.0,          120.0,        6.0};
  const double r2 = r * r;
  double p = 0;
  double sign = 1;  // of the 17th power's term
  for (const double factorial : kFactorials) {
    p = std::fma(p, r2, sign / factorial);
    sign = -sign;
  }
  return std::fma(p * r2, r, r);
}

double CosTaylor(double r) {
  constexpr double kFactorials[] = {20922789888000.0, 87178291200.0, 479001600.0, 3628800.0,
                                    40320.0,          720.0,         24.0,        2.0};
  const double r2 = r * r;
  double p = 0;
  double sign = 1;  // of the 16th power's term
  for (const double factorial : kFactorials) {
    p = std::fma(p, r2, sign / factorial);
    sign = -sign;
  }
  return std::fma(p, r2, 1.0);
}

}  // namespace

SinCos CanonicalSinCos(double angle) {
  constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;
  constexpr double kHalfPiHigh = 0x1.921fb54442d18p0;
  constexpr double kHalfPiLow = 0x1.1a62633145c07p-54;
  constexpr double kRound = 0x1.8p52;
  const double t = std::fma(angle, kTwoOverPi, kRound);
  const int64_t quadrant = std::bit_cast<int64_t>(t) & 3;
  const double n = t - kRound;
  const double r = std::fma(-n, kHalfPiLow, std::fma(-n, kHalfPiHigh, angle));
  const double s = SinTaylor(r);
  const double c = CosTaylor(r);
  switch (quadrant) {
    case 0:
      return {s, c};
    case 1:
      return {c, -s};
    case 2:
      return {-s, -c};
    default:
      return {-c, s};
  }
}

double CanonicalLog(double x) {
  using C = DoubleExpConstants;
  int64_t bits = std::bit_cast<int64_t>(x);
  int64_t exponent = (bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  // log m = 2 atanh(s), |s| < 0.172: the term of s^23 is below 2^-58.
  const double s = (m - 1) / (m + 1);
  const double s2 = s * s;
  double p = 0;
  for (int n = 21; n >= 3; n -= 2) p = std::fma(p, s2, 1.0 / n);
  const double log_m = std::fma(2 * s * s2, p, 2 * s);
  const double e = static_cast<double>(exponent);
  return std::fma(e, C::kLn2High, std::fma(e, C::kLn2Low, log_m));
}

double CanonicalPow(double base, double exponent) {
  return CanonicalExp(exponent * CanonicalLog(base));
}

}  // namespace tvl
