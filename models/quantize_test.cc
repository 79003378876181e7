#include "models/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/float16.h"
#include "core/tile.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"
#include "xxhash.h"

namespace tvl {
namespace {

using testing::Draw;
using testing::Fill;
using testing::FillName;
using testing::kFiniteFills;
using testing::Random;

float Decode(WeightType type, const QuantizedBlock& block, size_t i) {
  const float quant = block.quants[i], scale = F16ToF32(block.scale);
  if (type == WeightType::kQ4) return scale * (quant - 8);
  return std::fma(quant, scale, F16ToF32(block.minimum));
}

double SquaredError(WeightType type, const QuantizedBlock& block, const std::vector<float>& x) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double error = double{x[i]} - Decode(type, block, i);
    sum += error * error;
  }
  return sum;
}

// By the plain rules: the largest magnitude is 127 or -8, or lowest and highest are 0 and 15.
QuantizedBlock PlainRule(WeightType type, const std::vector<float>& x) {
  const auto [low, high] = std::minmax_element(x.begin(), x.end());
  const float top = -*low > *high ? *low : *high;
  QuantizedBlock block = {};
  if (type == WeightType::kQ8) block.scale = F32ToF16(std::fabs(top) / 127);
  if (type == WeightType::kQ4) block.scale = F32ToF16(top / -8);
  if (type == WeightType::kQ4M) {
    block.scale = F32ToF16((*high - *low) / 15);
    block.minimum = F32ToF16(*low);
  }
  const float scale = F16ToF32(block.scale);
  for (size_t i = 0; i < x.size(); ++i) {
    const float steps = scale == 0 ? 0 : (x[i] - F16ToF32(block.minimum)) / scale;
    float quant = std::clamp(std::nearbyint(steps), -127.0f, 127.0f);
    if (type == WeightType::kQ4) quant = std::clamp(quant + 8, 0.0f, 15.0f);
    if (type == WeightType::kQ4M) quant = std::clamp(quant, 0.0f, 15.0f);
    block.quants[i] = static_cast<int8_t>(quant);
  }
  return block;
}

// Fails where a field is beyond what quantize.h says.
void ExpectInRange(WeightType type, const QuantizedBlock& block, size_t count) {
  EXPECT_TRUE(std::isfinite(F16ToF32(block.scale)));
  EXPECT_TRUE(std::isfinite(F16ToF32(block.minimum)));
  if (type != WeightType::kQ4) {
    EXPECT_FALSE(block.scale & 0x8000);
  }
  if (type != WeightType::kQ4M) {
    EXPECT_EQ(block.minimum, 0);
  }
  for (size_t i = 0; i < kQuantBlock; ++i) {
    EXPECT_GE(block.quants[i], type == WeightType::kQ8 ? -127 : 0);
    EXPECT_LE(block.quants[i], type == WeightType::kQ8 ? 127 : 15);
    if (i >= count) {
      EXPECT_EQ(block.quants[i], type == WeightType::kQ4 ? 8 : 0);
    }
  }
}

class QuantizeTest : public ::testing::TestWithParam<WeightType> {};

TEST_P(QuantizeTest, NeverWorseThanThePlainRule) {
  Random random;
  for (const Fill fill : kFiniteFills) {
    for (const size_t count : {1, 2, 3, 4, 5, 16, 31, 32}) {
      for (int trial = 0; trial < 500; ++trial) {
        std::vector<float> x(count);
        for (float& v : x) v = Draw(fill, random);
        const QuantizedBlock block = QuantizeBlock(GetParam(), x.data(), count);
        ExpectInRange(GetParam(), block, count);
        // The search counts in f32.
        ASSERT_LE(SquaredError(GetParam(), block, x),
                  SquaredError(GetParam(), PlainRule(GetParam(), x), x) * (1 + 1e-5))
            << FillName(fill) << ", " << count << " numbers, trial " << trial;
      }
    }
  }
}

// How much the search gains over nearly normal numbers, with a little room.
TEST_P(QuantizeTest, GainsOverThePlainRule) {
  Random random;
  double found = 0, plain = 0;
  for (int trial = 0; trial < 4000; ++trial) {
    std::vector<float> x(kQuantBlock);
    for (float& v : x) v = 0.05f * random.Normal();
    found += SquaredError(GetParam(), QuantizeBlock(GetParam(), x.data(), x.size()), x);
    plain += SquaredError(GetParam(), PlainRule(GetParam(), x), x);
  }
  const double most = GetParam() == WeightType::kQ4 ? 0.9 : 0.8;
  EXPECT_LT(found / plain, most);
}

TEST_P(QuantizeTest, WhatAPlainRuleStoresExactlyComesBackExactly) {
  Random random;
  for (int trial = 0; trial < 2000; ++trial) {
    const float scale = F16ToF32(static_cast<uint16_t>(1 + random.Below(0x7000))) *
                        (GetParam() == WeightType::kQ4M ? 0.125f : 1.0f);
    const float exact_scale = F16ToF32(F32ToF16(scale));
    const float minimum = F16ToF32(F32ToF16(1000 * random.Uniform()));
    std::vector<float> x(kQuantBlock);
    for (size_t i = 0; i < x.size(); ++i) {
      const int q8 = i == 0 ? 127 : static_cast<int>(random.Below(255)) - 127;
      const int q4 = i == 0 ? -8 : static_cast<int>(random.Below(16)) - 8;
      const int q4m = i == 0 ? 0 : i == 1 ? 15 : static_cast<int>(random.Below(16));
      if (GetParam() == WeightType::kQ8) x[i] = scale * static_cast<float>(q8);
      if (GetParam() == WeightType::kQ4) x[i] = scale * static_cast<float>(q4);
      if (GetParam() == WeightType::kQ4M)
        x[i] = std::fma(static_cast<float>(q4m), exact_scale, minimum);
    }
    if (std::any_of(x.begin(), x.end(), [](float v) { return !(std::fabs(v) <= 65504); })) continue;
    if (SquaredError(GetParam(), PlainRule(GetParam(), x), x) != 0) continue;
    EXPECT_EQ(SquaredError(GetParam(), QuantizeBlock(GetParam(), x.data(), x.size()), x), 0)
        << "trial " << trial << ", scale " << scale;
  }
}

// No weight is further off than half a step, unless a few at the ends were cut to save the others:
// at most two steps of the plain rule.
TEST_P(QuantizeTest, NoWeightIsFarOff) {
  Random random;
  for (int trial = 0; trial < 2000; ++trial) {
    std::vector<float> x(kQuantBlock);
    for (float& v : x) v = random.Normal();
    const QuantizedBlock block = QuantizeBlock(GetParam(), x.data(), x.size());
    const float step = std::fabs(F16ToF32(PlainRule(GetParam(), x).scale));
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_LE(std::fabs(x[i] - Decode(GetParam(), block, i)), 2 * step) << trial << ' ' << i;
    }
  }
}

TEST_P(QuantizeTest, ZerosAndNothing) {
  const float zeros[] = {0.0f, -0.0f, 0.0f};
  for (const size_t count : {size_t{0}, size_t{3}}) {
    const QuantizedBlock block = QuantizeBlock(GetParam(), zeros, count);
    EXPECT_EQ(block.scale, 0);
    EXPECT_EQ(block.minimum, 0);
    for (const int8_t quant : block.quants) EXPECT_EQ(quant, GetParam() == WeightType::kQ4 ? 8 : 0);
  }
}

// f16 ends at 2^-24: a quant can still be that, however far below the rule's scale would be.
TEST_P(QuantizeTest, TinyBlocks) {
  for (const float x : {0x1p-24f, -0x1p-24f, 0x3p-24f, 0x1p-22f, -0x1p-20f}) {
    const QuantizedBlock block = QuantizeBlock(GetParam(), &x, 1);
    EXPECT_EQ(Decode(GetParam(), block, 0), x);
  }
  const float below[] = {1e-40f, -1e-44f, 1e-30f, 0x1p-26f};
  const QuantizedBlock block = QuantizeBlock(GetParam(), below, 4);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(Decode(GetParam(), block, i), 0) << i;
}

// As exact as its scale, which below 2^-14 is a multiple of 2^-24.
TEST_P(QuantizeTest, OneNumberIsNearlyExact) {
  Random random;
  for (int trial = 0; trial < 1000; ++trial) {
    const float x = random.Normal() * testing::PowerOfTwo(static_cast<int>(random.Below(16)) - 8);
    const QuantizedBlock block = QuantizeBlock(GetParam(), &x, 1);
    EXPECT_LE(std::fabs(Decode(GetParam(), block, 0) - x),
              std::max(std::fabs(x) * 0x1p-11f, 127 * 0x1p-25f))
        << x;
  }
}

TEST_P(QuantizeTest, TheLargest) {
  const float largest = LargestWeight(GetParam());
  for (const float x : {largest, -largest}) {
    const std::vector<float> block = {x, 0, x, x / 2};
    EXPECT_EQ(FindUnstorable(GetParam(), block.data(), block.size()), block.size());
    const QuantizedBlock found = QuantizeBlock(GetParam(), block.data(), block.size());
    ExpectInRange(GetParam(), found, block.size());
    EXPECT_LE(SquaredError(GetParam(), found, block),
              SquaredError(GetParam(), PlainRule(GetParam(), block), block));
  }
  const std::vector<float> ends = {largest, -largest};
  ExpectInRange(GetParam(), QuantizeBlock(GetParam(), ends.data(), 2), 2);
}

TEST_P(QuantizeTest, WhatCannotBeStored) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float beyond = std::nextafter(LargestWeight(GetParam()), kInfinity);
  for (const float bad : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(), beyond,
                          -beyond, std::numeric_limits<float>::max()}) {
    for (const size_t at : {0, 1, 31}) {
      std::vector<float> x(kQuantBlock, 1.0f);
      x[at] = bad;
      EXPECT_EQ(FindUnstorable(GetParam(), x.data(), x.size()), at);
      const QuantizedBlock block = QuantizeBlock(GetParam(), x.data(), x.size());
      for (size_t i = 0; i < x.size(); ++i) {
        EXPECT_TRUE(std::isnan(Decode(GetParam(), block, i)));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, QuantizeTest,
                         ::testing::Values(WeightType::kQ8, WeightType::kQ4, WeightType::kQ4M),
                         [](const auto& info) { return std::string(WeightTypeName(info.param)); });

// Far from 0, f16 minima are a wide grid; the quants must still tell the numbers apart.
TEST(QuantizeQ4MTest, FarFromZero) {
  for (const float center : {1000.3f, -1000.3f, 0.1f, -0.1f}) {
    std::vector<float> x(kQuantBlock, center);
    QuantizedBlock block = QuantizeBlock(WeightType::kQ4M, x.data(), x.size());
    EXPECT_NEAR(Decode(WeightType::kQ4M, block, 7), center, std::fabs(center) * 0x1p-18f);
    for (size_t i = 0; i < x.size(); ++i) x[i] += static_cast<float>(i % 16) * center * 0x1p-10f;
    block = QuantizeBlock(WeightType::kQ4M, x.data(), x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(Decode(WeightType::kQ4M, block, i), x[i], std::fabs(center) * 0x1p-10f);
    }
  }
}

// The same from every compiler and CPU; a change of the search changes these numbers.
TEST(QuantizeBytesTest, SameBytesEverywhere) {
  const struct {
    WeightType type;
    uint64_t hash;
  } cases[] = {{WeightType::kQ8, 12338989960355071514u},
               {WeightType::kQ4, 13460934934110525037u},
               {WeightType::kQ4M, 14242671235522954768u}};
  for (const auto& c : cases) {
    Random random;
    std::vector<QuantizedBlock> blocks;
    for (const Fill fill : kFiniteFills) {
      for (size_t i = 0; i < 1000; ++i) {
        std::vector<float> x(1 + i % kQuantBlock);
        for (float& v : x) v = Draw(fill, random);
        blocks.push_back(QuantizeBlock(c.type, x.data(), x.size()));
      }
    }
    EXPECT_EQ(XXH3_64bits(blocks.data(), blocks.size() * sizeof(blocks[0])), c.hash)
        << WeightTypeName(c.type);
  }
}

}  // namespace
}  // namespace tvl
