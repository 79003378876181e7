// The cases that a reader of canonical_math.h would try by hand. Dense accuracy tests are in
// tests/accuracy.
#include "core/canonical_math.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "gtest/gtest.h"

namespace tvl {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(ExpTest, SpecialValues) {
  EXPECT_EQ(Exp(0.0f), 1.0f);
  EXPECT_EQ(Exp(-0.0f), 1.0f);
  EXPECT_EQ(Exp(kInf), kInf);
  EXPECT_EQ(std::bit_cast<uint32_t>(Exp(-kInf)), 0u);
  EXPECT_EQ(std::bit_cast<uint32_t>(Exp(-std::numeric_limits<float>::quiet_NaN())), kCanonicalNaN);
  EXPECT_EQ(std::bit_cast<uint32_t>(Exp(std::bit_cast<float>(0xffc12345u))), kCanonicalNaN);
}

TEST(ExpTest, CutsAtTheEndsOfItsRange) {
  using C = ExpConstants;
  EXPECT_GE(Exp(C::kUnderflow), std::numeric_limits<float>::min());
  EXPECT_EQ(Exp(std::nextafter(C::kUnderflow, -kInf)), 0.0f);
  EXPECT_LT(Exp(C::kOverflow), kInf);
  EXPECT_EQ(Exp(std::nextafter(C::kOverflow, kInf)), kInf);
  // Where softmax cuts, a probability is still normal.
  EXPECT_GT(Exp(kSoftmaxCut), 1e6f * std::numeric_limits<float>::min());
}

TEST(ExpTest, IsWithinOneUlpAndMonotonicOnAGrid) {
  float previous = 0;
  for (int i = -87 * 64; i <= 88 * 64; ++i) {
    const float x = static_cast<float>(i) / 64;
    const double expected = std::exp(static_cast<double>(x));
    const float y = Exp(x);
    const double ulp = std::ldexp(1.0, std::ilogb(expected) - 23);
    ASSERT_LE(std::abs(static_cast<double>(y) - expected), ulp) << x;
    ASSERT_GT(y, previous) << x;
    previous = y;
  }
}

TEST(CanonicalSinCosTest, KnownAngles) {
  EXPECT_EQ(CanonicalSinCos(0).sin, 0.0);
  EXPECT_EQ(CanonicalSinCos(0).cos, 1.0);
  constexpr double kPi = 0x1.921fb54442d18p1;
  for (int quarter = 0; quarter < 16; ++quarter) {
    const SinCos angle = CanonicalSinCos(quarter * kPi / 2);
    const double sin[] = {0, 1, 0, -1}, cos[] = {1, 0, -1, 0};
    EXPECT_NEAR(angle.sin, sin[quarter % 4], 1e-14) << quarter;
    EXPECT_NEAR(angle.cos, cos[quarter % 4], 1e-14) << quarter;
  }
}

TEST(CanonicalSinCosTest, AgreesWithLibmUpToTheLargestAngle) {
  // The largest angles need every bit of the reduction: 2^30 has 20 bits left behind the point.
  for (const double scale : {1.0, 100.0, 1e4, 1e6, 0x1.0p29}) {
    for (int i = 0; i < 2000; ++i) {
      const double angle = scale * (static_cast<double>(i) + 0.37) / 2000;
      const SinCos found = CanonicalSinCos(angle);
      ASSERT_NEAR(found.sin, std::sin(angle), 4e-16) << angle;
      ASSERT_NEAR(found.cos, std::cos(angle), 4e-16) << angle;
    }
  }
}

TEST(CanonicalExpTest, SpecialValues) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  using C = DoubleExpConstants;
  EXPECT_EQ(CanonicalExp(0.0), 1.0);
  EXPECT_EQ(CanonicalExp(-0.0), 1.0);
  EXPECT_EQ(CanonicalExp(kInfinity), kInfinity);
  EXPECT_EQ(std::bit_cast<uint64_t>(CanonicalExp(-kInfinity)), 0u);
  EXPECT_TRUE(std::isnan(CanonicalExp(std::numeric_limits<double>::quiet_NaN())));
  EXPECT_GE(CanonicalExp(C::kUnderflow), std::numeric_limits<double>::min());
  EXPECT_EQ(CanonicalExp(std::nextafter(C::kUnderflow, -kInfinity)), 0.0);
  EXPECT_LT(CanonicalExp(C::kOverflow), kInfinity);
  EXPECT_EQ(CanonicalExp(std::nextafter(C::kOverflow, kInfinity)), kInfinity);
}

TEST(CanonicalLogTest, KnownValues) {
  EXPECT_EQ(CanonicalLog(1.0), 0.0);
  EXPECT_EQ(CanonicalLog(2.0), 0x1.62e42fefa39efp-1);
  EXPECT_EQ(CanonicalLog(0.5), -0x1.62e42fefa39efp-1);
  for (int i = -700; i <= 700; ++i) ASSERT_NEAR(CanonicalLog(CanonicalExp(i)), i, 1e-13) << i;
}

TEST(CanonicalPowTest, AgreesWithLibm) {
  EXPECT_EQ(CanonicalPow(10000, 0), 1.0);
  for (const double base : {0.5, 1.0, 2.0, 10.0, 10000.0, 500000.0, 1e6}) {
    for (int i = -64; i <= 64; ++i) {
      const double exponent = i / 64.0;
      const double expected = std::pow(base, exponent);
      ASSERT_NEAR(CanonicalPow(base, exponent) / expected, 1, 1e-14) << base << '^' << exponent;
    }
  }
}

}  // namespace
}  // namespace tvl
