// One answer, part 5: numbers that are no numbers. A single NaN or infinity at every place of a
// vector, of each kind, through every operation on vectors: a backend whose instructions let one
// pass that others keep, or the other way round, differs here.
#ifndef TVL_TESTS_CROSSVAL_NAN_SUITE_H_
#define TVL_TESTS_CROSSVAL_NAN_SUITE_H_

#include <gtest/gtest.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/scalar_reference/scalar_reference.h"
#include "core/tile.h"
#include "tests/support/equality.h"
#include "tests/support/quantized_buffer.h"
#include "tests/support/random.h"

namespace tvl::testing {

// Quiet and signalling NaN of both signs, and the infinities.
inline constexpr uint32_t kNotFinite[] = {0x7fc00000, 0xffc12345, 0x7f800001,
                                          0xff812345, 0x7f800000, 0xff800000};

template <typename K>
class NanTest : public ::testing::Test {
 protected:
  // Calls f with vectors of n ordinary numbers, but for one.
  template <typename F>
  static void ForEachPlace(F&& f) {
    Random random;
    for (const size_t n : {1, 4, 15, 16, 17, 33, 48, 64}) {
      std::vector<float> numbers(n);
      for (size_t place = 0; place < n; ++place) {
        for (const uint32_t bits : kNotFinite) {
          FillWith(Fill::kNormal, random, numbers);
          numbers[place] = std::bit_cast<float>(bits);
          SCOPED_TRACE(::testing::Message() << "n " << n << " place " << place << " bits " << bits);
          ASSERT_NO_FATAL_FAILURE(f(numbers));
        }
      }
    }
  }

  // Calls f, which computes `outputs` numbers from `x` and from ordinary ones, with both backends.
  template <typename F>
  static void ExpectEqual(size_t outputs, F&& f) {
    std::vector<float> expected(outputs), actual(outputs);
    f.template operator()<ScalarReference>(expected.data());
    f.template operator()<K>(actual.data());
    ASSERT_TRUE(AllEqual(expected, actual));
  }

  static std::vector<float> Ordinary(size_t n) {
    Random random(17);
    std::vector<float> numbers(n);
    FillWith(Fill::kNormal, random, numbers);
    return numbers;
  }
};

TYPED_TEST_SUITE_P(NanTest);

TYPED_TEST_P(NanTest, RmsNorm) {
  this->ForEachPlace([](const std::vector<float>& x) {
    const std::vector<float> weight = NanTest<TypeParam>::Ordinary(x.size());
    for (const bool swapped : {false, true}) {
      const std::vector<float>& a = swapped ? weight : x;
      const std::vector<float>& b = swapped ? x : weight;
      NanTest<TypeParam>::ExpectEqual(x.size(), [&]<typename K>(float* y) {
        K::RmsNorm(a.data(), b.data(), x.size(), 1e-5f, y);
      });
    }
  });
}

TYPED_TEST_P(NanTest, Rope) {
  this->ForEachPlace([](const std::vector<float>& x) {
    if (x.size() % 2 != 0) return;
    const std::vector<float> turns = NanTest<TypeParam>::Ordinary(x.size());
    NanTest<TypeParam>::ExpectEqual(x.size(), [&]<typename K>(float* y) {
      K::Rope(x.data(), turns.data(), turns.data() + x.size() / 2, x.size(), y);
    });
  });
}

TYPED_TEST_P(NanTest, Softmax) {
  this->ForEachPlace([](const std::vector<float>& x) {
    const size_t padded = RoundUp(x.size(), kDotChains);
    for (const float scale : {1.0f, -0.5f}) {
      NanTest<TypeParam>::ExpectEqual(padded, [&]<typename K>(float* y) {
        for (size_t i = 0; i < x.size(); ++i) y[i] = x[i];
        K::Softmax(y, x.size(), scale);
      });
    }
  });
}

TYPED_TEST_P(NanTest, SwiGluAndAdd) {
  this->ForEachPlace([](const std::vector<float>& x) {
    const std::vector<float> other = NanTest<TypeParam>::Ordinary(x.size());
    for (const bool swapped : {false, true}) {
      const std::vector<float>& a = swapped ? other : x;
      const std::vector<float>& b = swapped ? x : other;
      NanTest<TypeParam>::ExpectEqual(
          x.size(), [&]<typename K>(float* y) { K::SwiGlu(a.data(), b.data(), x.size(), y); });
      NanTest<TypeParam>::ExpectEqual(x.size(), [&]<typename K>(float* y) {
        for (size_t i = 0; i < x.size(); ++i) y[i] = a[i];
        K::Add(b.data(), x.size(), y);
      });
    }
  });
}

// Only the block with the number in it is lost.
TYPED_TEST_P(NanTest, QuantizeActivations) {
  this->ForEachPlace([](const std::vector<float>& x) {
    QuantizedBuffer expected(1, x.size()), actual(1, x.size());
    ScalarReference::QuantizeActivations(x.data(), x.size(), expected.view());
    TypeParam::QuantizeActivations(x.data(), x.size(), actual.view());
    const size_t blocks = (x.size() + kQuantBlock - 1) / kQuantBlock;
    size_t lost = 0;
    for (size_t b = 0; b < blocks; ++b) {
      ASSERT_TRUE(Equal(expected.view().scales[b], actual.view().scales[b])) << "block " << b;
      ASSERT_EQ(expected.view().sums[b], actual.view().sums[b]) << "block " << b;
      lost += actual.view().scales[b] != actual.view().scales[b];
    }
    ASSERT_EQ(lost, 1u);
    for (size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(expected.view().quants[i], actual.view().quants[i]) << i;
  });
}

REGISTER_TYPED_TEST_SUITE_P(NanTest, RmsNorm, Rope, Softmax, SwiGluAndAdd, QuantizeActivations);

}  // namespace tvl::testing

#endif  // TVL_TESTS_CROSSVAL_NAN_SUITE_H_
