// One answer, part 3: a backend's operations on vectors against scalar_reference, with ==.
#ifndef TVL_TESTS_CROSSVAL_ELEMENTWISE_SUITE_H_
#define TVL_TESTS_CROSSVAL_ELEMENTWISE_SUITE_H_

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "backends/scalar_reference/scalar_reference.h"
#include "core/canonical_math.h"
#include "core/float16.h"
#include "core/kernel.h"
#include "core/tile.h"
#include "tests/support/equality.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random.h"

namespace tvl::testing {

// Every length up to four of the canonical sum's 16 lanes, and some beyond.
inline std::vector<size_t> VectorLengths() {
  std::vector<size_t> lengths;
  for (size_t n = 1; n <= 67; ++n) lengths.push_back(n);
  for (const size_t n : {127, 128, 129, 172, 288, 1000}) lengths.push_back(n);
  return lengths;
}

inline GuardedBuffer<float> Vector(size_t n, Fill fill, Random& random, size_t offset = 0) {
  GuardedBuffer<float> x(n, offset);
  FillWith(fill, random, x.span());
  return x;
}

inline GuardedBuffer<float> Copy(const GuardedBuffer<float>& from, size_t offset = 0) {
  GuardedBuffer<float> to(from.size(), offset);
  for (size_t i = 0; i < from.size(); ++i) to[i] = from[i];
  return to;
}

// Arguments at which Exp changes its mind: the ends of its range and of softmax's, the points
// between two powers of 2, each with its neighbours, and a sweep.
inline std::vector<float> ExpArguments() {
  std::vector<float> all = {0.0f, -0.0f, std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()};
  const auto around = [&all](float center) {
    float x = center;
    for (int i = 0; i < 4; ++i) x = std::nextafter(x, -1000.0f);
    for (int i = 0; i < 9; ++i, x = std::nextafter(x, 1000.0f)) all.push_back(x);
  };
  for (const float end : {kSoftmaxCut, ExpConstants::kUnderflow, ExpConstants::kOverflow}) {
    around(end);
    around(-end);
  }
  for (int n = -128; n < 128; ++n) around((static_cast<float>(n) + 0.5f) * 0.6931472f);
  for (float x = -110; x < 110; x += 0.0371f) all.push_back(x);
  return all;
}

template <typename K>
class ElementwiseTest : public ::testing::Test {
 protected:
  // s holds the n scores and, up to the next multiple of 4, anything.
  static void ExpectSoftmaxEqual(const GuardedBuffer<float>& s, size_t n, float scale) {
    GuardedBuffer<float> expected = Copy(s);
    ScalarReference::Softmax(expected.data(), n, scale);
    GuardedBuffer<float> actual = Copy(s, n % 4);
    K::Softmax(actual.data(), n, scale);
    ASSERT_TRUE(AllEqual(expected.span(), actual.span()));
    for (size_t i = n; i < s.size(); ++i)
      ASSERT_EQ(std::bit_cast<uint32_t>(actual[i]), 0u) << "tail";
    ASSERT_TRUE(actual.GuardsIntact());
  }

  static void ExpectSwiGluEqual(const GuardedBuffer<float>& g, const GuardedBuffer<float>& u) {
    const size_t n = g.size();
    GuardedBuffer<float> expected(n);
    ScalarReference::SwiGlu(g.data(), u.data(), n, expected.data());
    GuardedBuffer<float> y(n, 1);
    K::SwiGlu(g.data(), u.data(), n, y.data());
    ASSERT_TRUE(AllEqual(expected.span(), y.span()));
    ASSERT_TRUE(y.GuardsIntact());
    GuardedBuffer<float> over_g = Copy(g, 2);
    K::SwiGlu(over_g.data(), u.data(), n, over_g.data());
    ASSERT_TRUE(AllEqual(expected.span(), over_g.span()));
    GuardedBuffer<float> over_u = Copy(u, 3);
    K::SwiGlu(g.data(), over_u.data(), n, over_u.data());
    ASSERT_TRUE(AllEqual(expected.span(), over_u.span()));
  }
};

TYPED_TEST_SUITE_P(ElementwiseTest);

TYPED_TEST_P(ElementwiseTest, RmsNorm) {
  Random random;
  for (const Fill fill : kFills) {
    for (const size_t n : VectorLengths()) {
      for (const float epsilon : {1e-5f, 0.0f}) {
        SCOPED_TRACE(::testing::Message()
                     << FillName(fill) << " n " << n << " epsilon " << epsilon);
        const GuardedBuffer<float> x = Vector(n, fill, random, n % 3);
        const GuardedBuffer<float> weight = Vector(n, Fill::kNormal, random, n % 2);
        GuardedBuffer<float> expected(n);
        ScalarReference::RmsNorm(x.data(), weight.data(), n, epsilon, expected.data());
        GuardedBuffer<float> y(n, 1);
        TypeParam::RmsNorm(x.data(), weight.data(), n, epsilon, y.data());
        ASSERT_TRUE(AllEqual(expected.span(), y.span()));
        ASSERT_TRUE(y.GuardsIntact());
      }
    }
  }
}

TYPED_TEST_P(ElementwiseTest, Rope) {
  Random random;
  for (const Fill fill : kFills) {
    for (const size_t dims : {2, 4, 6, 8, 10, 14, 16, 30, 32, 34, 64, 80, 96, 128, 256}) {
      SCOPED_TRACE(::testing::Message() << FillName(fill) << " dims " << dims);
      const GuardedBuffer<float> x = Vector(dims, fill, random, 1);
      const GuardedBuffer<float> cos = Vector(dims / 2, Fill::kNormal, random);
      const GuardedBuffer<float> sin = Vector(dims / 2, Fill::kNormal, random, 3);
      GuardedBuffer<float> expected(dims);
      ScalarReference::Rope(x.data(), cos.data(), sin.data(), dims, expected.data());
      GuardedBuffer<float> y(dims, 2);
      TypeParam::Rope(x.data(), cos.data(), sin.data(), dims, y.data());
      ASSERT_TRUE(AllEqual(expected.span(), y.span()));
      ASSERT_TRUE(y.GuardsIntact());
      GuardedBuffer<float> in_place = Copy(x);
      TypeParam::Rope(in_place.data(), cos.data(), sin.data(), dims, in_place.data());
      ASSERT_TRUE(AllEqual(expected.span(), in_place.span()));
    }
  }
}

TYPED_TEST_P(ElementwiseTest, Softmax) {
  Random random;
  for (const Fill fill : kFills) {
    for (const size_t n : VectorLengths()) {
      for (const float scale : {1.0f, 0.35355338f, -3.0f, 40.0f, 0.0f}) {
        SCOPED_TRACE(::testing::Message() << FillName(fill) << " n " << n << " scale " << scale);
        GuardedBuffer<float> s(RoundUp(n, kDotChains));
        s.PoisonData();
        FillWith(fill, random, s.span().first(n));
        ASSERT_NO_FATAL_FAILURE(this->ExpectSoftmaxEqual(s, n, scale));
      }
    }
  }
}

TYPED_TEST_P(ElementwiseTest, SoftmaxOfUniformScores) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float score : {0.0f, -0.0f, 3.0f, -1e30f, kInfinity, -kInfinity, std::nanf("")}) {
    for (const size_t n : {1, 2, 3, 4, 5, 16, 17, 35}) {
      GuardedBuffer<float> s(RoundUp(n, kDotChains));
      s.PoisonData();
      for (float& value : s.span().first(n)) value = score;
      ASSERT_NO_FATAL_FAILURE(this->ExpectSoftmaxEqual(s, n, 1.0f));
      // The greatest score first, last, and alone among NaN.
      s[0] = 5;
      ASSERT_NO_FATAL_FAILURE(this->ExpectSoftmaxEqual(s, n, 1.0f));
      s[0] = score;
      s[n - 1] = 5;
      ASSERT_NO_FATAL_FAILURE(this->ExpectSoftmaxEqual(s, n, 1.0f));
    }
  }
}

// With 0 as the greatest score, each other one is the argument of Exp.
TYPED_TEST_P(ElementwiseTest, SoftmaxAtTheEdgesOfExp) {
  const std::vector<float> arguments = ExpArguments();
  constexpr size_t kRow = 30;
  for (size_t begin = 0; begin < arguments.size(); begin += kRow) {
    GuardedBuffer<float> s(RoundUp(kRow + 1, kDotChains));
    for (size_t i = begin; i < begin + kRow && i < arguments.size(); ++i) {
      // NaN has its own test: one would make the row NaN.
      s[i - begin] = arguments[i] < 0 ? arguments[i] : arguments[i] > 0 ? -arguments[i] : 0.0f;
    }
    ASSERT_NO_FATAL_FAILURE(this->ExpectSoftmaxEqual(s, kRow + 1, 1.0f));
  }
}

TYPED_TEST_P(ElementwiseTest, SwiGlu) {
  Random random;
  for (const Fill fill : kFills) {
    for (const size_t n : VectorLengths()) {
      SCOPED_TRACE(::testing::Message() << FillName(fill) << " n " << n);
      const GuardedBuffer<float> g = Vector(n, fill, random, n % 4);
      const GuardedBuffer<float> u = Vector(n, fill, random, n % 3);
      ASSERT_NO_FATAL_FAILURE(this->ExpectSwiGluEqual(g, u));
    }
  }
}

TYPED_TEST_P(ElementwiseTest, SwiGluAtTheEdgesOfExp) {
  const std::vector<float> arguments = ExpArguments();
  GuardedBuffer<float> g(arguments.size());
  GuardedBuffer<float> u(arguments.size());
  for (size_t i = 0; i < arguments.size(); ++i) {
    g[i] = arguments[i];
    u[i] = 1;
  }
  ASSERT_NO_FATAL_FAILURE(this->ExpectSwiGluEqual(g, u));
}

// Every exponent and sign, with 799 significands of each.
TYPED_TEST_P(ElementwiseTest, SwiGluOverTheFloats) {
  constexpr size_t kCount = 512 * 799;
  GuardedBuffer<float> g(kCount);
  GuardedBuffer<float> u(kCount);
  for (size_t i = 0; i < kCount; ++i) {
    g[i] = std::bit_cast<float>(static_cast<uint32_t>((uint64_t{i} << 32) / kCount));
    u[i] = 1.5f;
  }
  ASSERT_NO_FATAL_FAILURE(this->ExpectSwiGluEqual(g, u));
}

TYPED_TEST_P(ElementwiseTest, Add) {
  Random random;
  for (const Fill fill : kFills) {
    for (const size_t n : VectorLengths()) {
      SCOPED_TRACE(::testing::Message() << FillName(fill) << " n " << n);
      const GuardedBuffer<float> x = Vector(n, fill, random, n % 3);
      const GuardedBuffer<float> y = Vector(n, fill, random);
      GuardedBuffer<float> expected = Copy(y);
      ScalarReference::Add(x.data(), n, expected.data());
      GuardedBuffer<float> actual = Copy(y, n % 2);
      TypeParam::Add(x.data(), n, actual.data());
      ASSERT_TRUE(AllEqual(expected.span(), actual.span()));
      ASSERT_TRUE(actual.GuardsIntact());
    }
  }
}

// Every sign and exponent with a sweep of fractions, among them all that lie between two halves.
TYPED_TEST_P(ElementwiseTest, RoundToF16) {
  Random random;
  std::vector<float> x;
  for (uint32_t high = 0; high < 512; ++high) {
    for (uint32_t i = 0; i < 97; ++i) {
      const uint32_t fraction = i < 64 ? i << 12 | (i % 3 == 0   ? 0u
                                                    : i % 3 == 1 ? 1u
                                                                 : 0xfffu)
                                       : random.Below(1u << 23);
      x.push_back(std::bit_cast<float>(high << 23 | (fraction & 0x7fffffu)));
    }
  }
  const auto expect = [](std::span<const float> values) {
    GuardedBuffer<float> from(values.size(), values.size() % 4);
    for (size_t i = 0; i < values.size(); ++i) from[i] = values[i];
    std::vector<uint16_t> expected(values.size());
    ScalarReference::RoundToF16(from.data(), values.size(), expected.data());
    GuardedBuffer<uint16_t> actual(values.size(), values.size() % 3);
    TypeParam::RoundToF16(from.data(), values.size(), actual.data());
    for (size_t i = 0; i < values.size(); ++i) {
      if (F16ToF32(expected[i]) != F16ToF32(expected[i])) {
        ASSERT_TRUE(F16ToF32(actual[i]) != F16ToF32(actual[i])) << i;
      } else {
        ASSERT_EQ(expected[i], actual[i]) << values[i];
      }
    }
    ASSERT_TRUE(actual.GuardsIntact());
  };
  ASSERT_NO_FATAL_FAILURE(expect(x));
  for (size_t n = 1; n <= 67; ++n)
    ASSERT_NO_FATAL_FAILURE(expect(std::span(x).subspan(97 * 115 + n, n)));
}

TYPED_TEST_P(ElementwiseTest, ScaleByF16) {
  Random random;
  for (const Fill fill : kFills) {
    for (const size_t n : VectorLengths()) {
      const GuardedBuffer<float> x = Vector(n, fill, random, n % 3);
      GuardedBuffer<uint16_t> scales(n, n % 5);
      for (uint16_t& scale : scales.span()) scale = static_cast<uint16_t>(random.Below(65536));
      GuardedBuffer<float> expected(n), actual(n, n % 2);
      ScalarReference::ScaleByF16(x.data(), scales.data(), n, expected.data());
      TypeParam::ScaleByF16(x.data(), scales.data(), n, actual.data());
      ASSERT_TRUE(AllEqual(expected.span(), actual.span())) << FillName(fill) << " n " << n;
      ASSERT_TRUE(actual.GuardsIntact());
    }
  }
}

REGISTER_TYPED_TEST_SUITE_P(ElementwiseTest, RmsNorm, Rope, Softmax, SoftmaxOfUniformScores,
                            SoftmaxAtTheEdgesOfExp, SwiGlu, SwiGluAtTheEdgesOfExp,
                            SwiGluOverTheFloats, Add, RoundToF16, ScaleByF16);

}  // namespace tvl::testing

#endif  // TVL_TESTS_CROSSVAL_ELEMENTWISE_SUITE_H_
