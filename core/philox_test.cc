// The known answers are those that the authors of Philox publish with Random123 (kat_vectors).
#include "core/philox.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <set>

#include "gtest/gtest.h"

namespace tvl {
namespace {

using Words = std::array<uint32_t, 4>;

TEST(PhiloxTest, KnownAnswers) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(Philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(UniformFloatTest, IsTheFirstWordsTop24Bits) {
  EXPECT_EQ(UniformFloat(0, 0), static_cast<float>(0x6627e8) * 0x1p-24f);
  const auto words = Philox4x32({0x89abcdef, 0x01234567, 0, 0}, {0x76543210, 0xfedcba98});
  EXPECT_EQ(UniformFloat(0xfedcba9876543210, 0x0123456789abcdef),
            static_cast<float>(words[0] >> 8) * 0x1p-24f);
}

TEST(UniformFloatTest, FillsTheUnitIntervalEvenly) {
  constexpr int kDraws = 100000, kBins = 64;
  int counts[kBins] = {};
  std::set<float> distinct;
  for (uint64_t step = 0; step < kDraws; ++step) {
    const float u = UniformFloat(42, step);
    ASSERT_GE(u, 0.0f);
    ASSERT_LT(u, 1.0f);
    ++counts[static_cast<int>(u * kBins)];
    distinct.insert(u);
  }
  double chi2 = 0;
  for (const int count : counts)
    chi2 += std::pow(count - double{kDraws} / kBins, 2) / (double{kDraws} / kBins);
  EXPECT_LT(chi2, 103.4);  // 99.9% of chi-square with 63 degrees of freedom
  EXPECT_GT(distinct.size(), 99000u);
}

TEST(UniformFloatTest, SeedsAndStepsDiffer) {
  EXPECT_NE(UniformFloat(1, 0), UniformFloat(2, 0));
  EXPECT_NE(UniformFloat(1, 0), UniformFloat(1, 1));
  // The upper halves count too.
  EXPECT_NE(UniformFloat(1, 0), UniformFloat(1 + (uint64_t{1} << 32), 0));
  EXPECT_NE(UniformFloat(1, 0), UniformFloat(1, uint64_t{1} << 32));
}

}  // namespace
}  // namespace tvl
