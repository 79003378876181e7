// The functions that the canonical order has instead of libm, against long double; and f16 and bf16
// against other methods.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "core/bfloat16.h"
#include "core/canonical_math.h"
#include "core/float16.h"
#include "tests/support/random.h"

namespace tvl::testing {
namespace {

using Real = long double;

float FromBits(uint32_t bits) { return std::bit_cast<float>(bits); }
uint32_t Bits(float x) { return std::bit_cast<uint32_t>(x); }

// Distance of x from the true value, in units in the last place of an f32 of that size.
Real UlpsFrom(Real exact, float x) {
  return std::fabs(x - exact) / std::ldexp(1.0L, std::ilogb(exact) - 23);
}

TEST(Exp, IsWithinOneUlp) {
  Real worst = 0;
  const auto check = [&worst](float x) {
    const Real error = UlpsFrom(std::exp(Real{x}), Exp(x));
    worst = std::max(worst, error);
    ASSERT_LT(error, 1.0L) << x;
  };
  // Both signs, every exponent below the ends of the range.
  constexpr uint32_t kStep = 3001;
  for (uint32_t bits = 0; FromBits(bits) <= ExpConstants::kOverflow; bits += kStep) {
    ASSERT_NO_FATAL_FAILURE(check(FromBits(bits)));
    if (-FromBits(bits) >= ExpConstants::kUnderflow) {
      ASSERT_NO_FATAL_FAILURE(check(-FromBits(bits)));
    }
  }
  ASSERT_NO_FATAL_FAILURE(check(0x1.430b8cp+6f));  // the worst of all floats: 0.9973 ulp
  // Where the argument is reduced by one ln 2 more.
  for (int n = -125; n < 127; ++n) {
    float x = (static_cast<float>(n) + 0.5f) * 0.6931472f;
    for (int i = 0; i < 8; ++i, x = std::nextafter(x, 1000.0f)) ASSERT_NO_FATAL_FAILURE(check(x));
  }
  RecordProperty("worst_error_in_thousandths_of_an_ulp", static_cast<int>(worst * 1000));
}

TEST(Exp, Ends) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(Exp(0.0f), 1.0f);
  EXPECT_EQ(Exp(-0.0f), 1.0f);
  EXPECT_EQ(Bits(Exp(-kInfinity)), 0u);
  EXPECT_EQ(Exp(kInfinity), kInfinity);
  EXPECT_EQ(Bits(Exp(std::nanf("1"))), kCanonicalNaN);
  EXPECT_EQ(Bits(Exp(std::nextafter(ExpConstants::kUnderflow, -kInfinity))), 0u);
  EXPECT_GE(Exp(ExpConstants::kUnderflow), std::numeric_limits<float>::min());
  EXPECT_LT(Exp(ExpConstants::kOverflow), kInfinity);
  EXPECT_EQ(Exp(std::nextafter(ExpConstants::kOverflow, kInfinity)), kInfinity);
}

void ExpectSinCosAccurate(double angle) {
  const SinCos actual = CanonicalSinCos(angle);
  ASSERT_LT(std::fabs(actual.sin - std::sin(Real{angle})), 0x1p-52L) << angle;
  ASSERT_LT(std::fabs(actual.cos - std::cos(Real{angle})), 0x1p-52L) << angle;
}

TEST(CanonicalSinCos, AnglesOfRope) {
  for (const double theta : {10000.0, 500000.0}) {
    for (int i = 0; i < 64; i += 3) {
      const double frequency = static_cast<float>(std::pow(theta, -i / 64.0));
      for (const int position : {0, 1, 2, 3, 10, 511, 2047, 4095, 32767, 131071, 1048575}) {
        ASSERT_NO_FATAL_FAILURE(ExpectSinCosAccurate(position * frequency));
      }
    }
  }
}

TEST(CanonicalSinCos, AnyAngleBelowTwoToThe30) {
  Random random;
  for (int i = 0; i < 20000; ++i) {
    const double unit = static_cast<double>(random.Bits() >> 11) * 0x1p-53;
    ASSERT_NO_FATAL_FAILURE(
        ExpectSinCosAccurate(unit * std::ldexp(1.0, static_cast<int>(random.Below(31)))));
  }
}

// Where sine or cosine vanish and where the quadrant changes.
TEST(CanonicalSinCos, NearMultiplesOfAnEighthTurn) {
  Random random;
  for (int i = 0; i < 5000; ++i) {
    const double multiple = i < 1000 ? i : static_cast<double>(random.Below(size_t{1} << 30));
    const double angle = multiple * 0.78539816339744828;
    if (angle >= 0x1p30) continue;
    for (const double x : {angle, std::nextafter(angle, 0), std::nextafter(angle, 1e10)}) {
      ASSERT_NO_FATAL_FAILURE(ExpectSinCosAccurate(x));
    }
  }
}

TEST(CanonicalExp, AllOfItsRange) {
  Random random;
  Real worst = 0;
  for (int i = 0; i < 1000000; ++i) {
    const double part = random.Uniform() + 0x1p-24 * random.Uniform();
    const double x = part * (i % 2 == 0 ? 707.9 : 2.0);
    const Real exact = std::exp(Real{x});
    const Real error = std::fabs((CanonicalExp(x) - exact) / exact);
    worst = std::max(worst, error);
    ASSERT_LT(error, 0x1p-52L) << x;
  }
  RecordProperty("worst_error_in_thousandths_of_2_to_the_minus_53",
                 static_cast<int>(worst * 0x1p53L * 1000));
}

TEST(CanonicalLog, AllOfItsRange) {
  Random random;
  for (int i = 0; i < 1000000; ++i) {
    const int exponent = i % 2 == 0 ? 0 : static_cast<int>(random.Below(2044)) - 1021;
    const double part = random.Uniform() + 0x1p-24 * random.Uniform();
    const double x = std::ldexp(1.0 + 0.49 * part, exponent);
    const Real exact = std::log(Real{x});
    ASSERT_LE(std::fabs(CanonicalLog(x) - exact), 0x1p-51L * std::fabs(exact)) << x;
  }
}

// |base^exponent - exact| / exact.
Real PowError(double base, double exponent) {
  const Real exact = std::pow(Real{base}, Real{exponent});
  return std::fabs(CanonicalPow(base, exponent) - exact) / exact;
}

// What importers ask for: theta^-(2i / head_dim).
TEST(CanonicalPow, FrequenciesOfRope) {
  for (const double theta : {10000.0, 100000.0, 500000.0, 1000000.0, 10000000.0}) {
    for (int i = 0; i <= 256; ++i)
      ASSERT_LT(PowError(theta, -i / 256.0), 1e-14L) << theta << " " << i;
  }
}

// The exponent and the logarithm are rounded to y, which makes an absolute error of 2 |y| u, u =
// 2^-53, in the argument of e^y and the same, relative, in the result; the series and the scaling
// add a few u. At the ends of f32's range, where |y| = 88, that is 2e-14.
TEST(CanonicalPow, AnyResultInTheRangeOfF32) {
  Random random;
  for (int i = 0; i < 100000; ++i) {
    const double base =
        std::ldexp(1.0 + std::fabs(random.Uniform()), static_cast<int>(random.Below(40)) - 20);
    const double exponent = 6 * random.Uniform();
    const double y = exponent * std::log(base);
    if (std::fabs(y) > 87) continue;
    ASSERT_LT(PowError(base, exponent), (2 * std::fabs(y) + 8) * 0x1p-53L)
        << base << "^" << exponent;
  }
}

// --- f16
// ---------------------------------------------------------------------------------------------

// The value by the definition of IEEE 754, in floating point.
double F16Value(uint16_t h) {
  const int exponent = (h >> 10) & 31;
  const int mantissa = h & 1023;
  const double sign = (h & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31) return mantissa != 0 ? std::nan("") : sign * HUGE_VAL;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

// The nearest f16, found by dividing by the spacing of the f16 around x and rounding in double.
uint16_t NearestF16(float x) {
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  if (x != x) return sign | 0x7e00;
  const double magnitude = std::fabs(static_cast<double>(x));
  const int exponent = std::max(magnitude == 0 ? -14 : std::ilogb(magnitude), -14);
  if (exponent > 15) return sign | 0x7c00;
  const double spacings = std::nearbyint(std::ldexp(magnitude, 10 - exponent));  // ties to even
  // 1024 spacings are the implicit bit: they count the exponent up by one, and so does 2048 where
  // rounding carried.
  return static_cast<uint16_t>(sign + ((exponent + 14) << 10) + static_cast<int>(spacings));
}

void ExpectF16(float x) {
  const uint16_t expected = NearestF16(x);
  ASSERT_EQ(F32ToF16(x), expected) << x << " " << std::hex << Bits(x);
}

TEST(Float16, EveryPatternToF32) {
  for (uint32_t h = 0; h < 65536; ++h) {
    const float actual = F16ToF32(static_cast<uint16_t>(h));
    const double expected = F16Value(static_cast<uint16_t>(h));
    if (expected != expected) {
      ASSERT_NE(actual, actual) << std::hex << h;
      continue;
    }
    ASSERT_EQ(static_cast<double>(actual), expected) << std::hex << h;
    ASSERT_EQ(std::signbit(actual), (h & 0x8000) != 0) << std::hex << h;
    ASSERT_EQ(F32ToF16(actual), h) << "there and back";
  }
}

TEST(Float16, FromF32AtEveryTie) {
  for (uint32_t h = 0; h < 0x7c00; ++h) {
    // Half way to the next f16; after the last one, where the next would be.
    const double next = h + 1 < 0x7c00 ? F16Value(static_cast<uint16_t>(h + 1)) : 65536;
    const float tie = static_cast<float>((F16Value(static_cast<uint16_t>(h)) + next) / 2);
    for (const float x : {tie, std::nextafter(tie, 0.0f), std::nextafter(tie, HUGE_VALF)}) {
      ASSERT_NO_FATAL_FAILURE(ExpectF16(x));
      ASSERT_NO_FATAL_FAILURE(ExpectF16(-x));
    }
  }
}

TEST(Float16, FromF32OverAllFloats) {
  constexpr uint64_t kStep = 1021;  // prime: low bits vary
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += kStep) {
    ASSERT_NO_FATAL_FAILURE(ExpectF16(FromBits(static_cast<uint32_t>(bits))));
  }
  for (const uint32_t bits :
       {0x00000000u, 0x80000000u, 0x00000001u, 0x33000000u, 0x33000001u, 0x387fffffu, 0x38800000u,
        0x477fefffu, 0x477ff000u, 0x7f7fffffu, 0x7f800000u, 0xff800000u, 0x7f800001u}) {
    ASSERT_NO_FATAL_FAILURE(ExpectF16(FromBits(bits)));
  }
}

// By the spacing of bf16 numbers about x, in arithmetic that is exact.
uint16_t NearestBF16(float x) {
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  const double magnitude = std::fabs(static_cast<double>(x));
  if (magnitude > std::numeric_limits<float>::max()) return sign | 0x7f80;
  const int exponent = std::max(magnitude == 0 ? -126 : std::ilogb(magnitude), -126);
  const double spacings = std::nearbyint(std::ldexp(magnitude, 7 - exponent));  // ties to even
  // As for f16: 128 spacings are the implicit bit, 256 a carry, and past the last exponent
  // infinity.
  return static_cast<uint16_t>(sign + ((exponent + 126) << 7) + static_cast<int>(spacings));
}

void ExpectBF16(float x) {
  if (x != x) {  // what fits of the bits, and quiet: an infinity must not come of it
    const uint16_t expected = static_cast<uint16_t>(Bits(x) >> 16 | 0x40);
    ASSERT_EQ(F32ToBF16(x), expected) << std::hex << Bits(x);
    ASSERT_NE(BF16ToF32(expected), BF16ToF32(expected)) << std::hex << Bits(x);
  } else {
    ASSERT_EQ(F32ToBF16(x), NearestBF16(x)) << x << " " << std::hex << Bits(x);
  }
}

TEST(BFloat16, EveryPatternToF32AndBack) {
  for (uint32_t h = 0; h < 65536; ++h) {
    const float widened = BF16ToF32(static_cast<uint16_t>(h));
    ASSERT_EQ(Bits(widened), h << 16) << std::hex << h;
    ASSERT_EQ(F32ToBF16(widened), widened != widened ? h | 0x40 : h) << std::hex << h;
  }
}

// All ties and their neighbours, among them those of subnormals and the one to infinity.
TEST(BFloat16, FromF32AtEveryTie) {
  for (uint32_t h = 0; h < 65536; ++h) {
    for (const uint32_t rest : {0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      ASSERT_NO_FATAL_FAILURE(ExpectBF16(FromBits(h << 16 | rest)));
    }
  }
}

TEST(BFloat16, FromF32OverAllFloats) {
  constexpr uint64_t kStep = 1021;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += kStep) {
    ASSERT_NO_FATAL_FAILURE(ExpectBF16(FromBits(static_cast<uint32_t>(bits))));
  }
}

TEST(BFloat16, FromF32Known) {
  const struct {
    uint32_t f32;
    uint16_t bf16;
  } cases[] = {{0x00000000u, 0x0000}, {0x80000000u, 0x8000},   // zeros
               {0x00000001u, 0x0000}, {0x00008000u, 0x0000},   // a tie to an even 0
               {0x00008001u, 0x0001}, {0x00018000u, 0x0002},   // subnormals; a tie to 2
               {0x007fffffu, 0x0080}, {0x3f800000u, 0x3f80},   // to the least normal; one
               {0x3f808000u, 0x3f80}, {0x3f818000u, 0x3f82},   // ties about one
               {0x7f7f7fffu, 0x7f7f}, {0x7f7f8000u, 0x7f80},   // the last that is finite
               {0xff7fffffu, 0xff80}, {0x7f800000u, 0x7f80},   // infinities
               {0x7f800001u, 0x7fc0}, {0xff800001u, 0xffc0},   // NaNs with a low payload only
               {0x7fc00000u, 0x7fc0}, {0x7fffffffu, 0x7fff}};  // and others
  for (const auto& c : cases) EXPECT_EQ(F32ToBF16(FromBits(c.f32)), c.bf16) << std::hex << c.f32;
}

}  // namespace
}  // namespace tvl::testing
