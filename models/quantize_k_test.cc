#include "models/quantize_k.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "core/float16.h"
#include "core/tile.h"
#include "gtest/gtest.h"
#include "models/quantize.h"
#include "tests/support/random.h"
#include "xxhash.h"

namespace tvl {
namespace {

using testing::Draw;
using testing::Fill;
using testing::FillName;
using testing::kFiniteFills;
using testing::Random;

constexpr WeightType kTypes[] = {WeightType::kQ4K, WeightType::kQ5K, WeightType::kQ6K};
constexpr size_t kCounts[] = {1, 2, 15, 16, 17, 31, 32, 33, 100, 255, 256};

int HighestQuant(WeightType type) {
  return type == WeightType::kQ4K ? 15 : type == WeightType::kQ5K ? 31 : 63;
}

float Decode(WeightType type, const QuantizedSuperblock& block, size_t i) {
  const float d = F16ToF32(block.scale), dmin = F16ToF32(block.minimum);
  const float quant = block.quants[i];
  const size_t b = i / ScaleBlock(type);
  if (type == WeightType::kQ6K)
    return d * static_cast<float>(static_cast<int8_t>(block.scales[b])) * (quant - 32);
  return std::fma(d * static_cast<float>(block.scales[b]), quant,
                  -(dmin * static_cast<float>(block.minima[b])));
}

std::vector<float> DecodeAll(WeightType type, const QuantizedSuperblock& block, size_t count) {
  std::vector<float> x(count);
  for (size_t i = 0; i < count; ++i) x[i] = Decode(type, block, i);
  return x;
}

double SquaredError(WeightType type, const QuantizedSuperblock& block,
                    const std::vector<float>& x) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double error = double{x[i]} - Decode(type, block, i);
    sum += error * error;
  }
  return sum;
}

double SquaredNorm(const std::vector<float>& x) {
  double sum = 0;
  for (const float v : x) sum += double{v} * v;
  return sum;
}

QuantizedSuperblock Quantized(WeightType type, const std::vector<float>& x) {
  return QuantizeSuperblock(type, x.data(), x.size());
}

// A float over the largest of its like, times `most`, as an integer.
int Integer(float x, float step, int low, int high) {
  return step == 0 ? 0 : std::clamp(static_cast<int>(std::nearbyint(x / step)), low, high);
}

// By the plain rules: the lowest number, or 0, and the highest are the quants 0 and 15 or 31, and
// the largest scale and minimum are `most`; of q6k the largest magnitude is a quant of -32 and the
// largest scale -128.
QuantizedSuperblock PlainRule(WeightType type, const std::vector<float>& x, int most) {
  const size_t length = ScaleBlock(type);
  const bool q6k = type == WeightType::kQ6K;
  float scales[16] = {}, minima[16] = {}, top_scale = 0, top_minimum = 0;
  for (size_t begin = 0; begin < x.size(); begin += length) {
    const auto first = x.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto [low, high] = std::minmax_element(
        first, first + static_cast<std::ptrdiff_t>(std::min(length, x.size() - begin)));
    float& scale = scales[begin / length];
    float& minimum = minima[begin / length];
    minimum = q6k ? 0 : std::max(0.0f, -*low);
    if (q6k) scale = (-*low > *high ? *low : *high) / -32;
    if (!q6k) scale = (*high + minimum) / static_cast<float>(HighestQuant(type));
    if (std::fabs(scale) > std::fabs(top_scale)) top_scale = scale;
    top_minimum = std::max(top_minimum, minimum);
  }
  QuantizedSuperblock out = {};
  out.scale = F32ToF16(top_scale / static_cast<float>(q6k ? -128 : most));
  out.minimum = F32ToF16(top_minimum / static_cast<float>(most));
  const float d = F16ToF32(out.scale), dmin = F16ToF32(out.minimum);
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t b = i / length;
    const int scale = Integer(scales[b], d, q6k ? -128 : 0, q6k ? 127 : 255);
    const int minimum = Integer(minima[b], dmin, 0, 255);
    out.scales[b] = static_cast<uint8_t>(scale);
    if (!q6k) out.minima[b] = static_cast<uint8_t>(minimum);
    const float low = dmin * static_cast<float>(minimum), step = d * static_cast<float>(scale);
    const int zero = q6k ? 32 : 0;
    out.quants[i] =
        static_cast<uint8_t>(Integer(x[i] + low, step, -zero, HighestQuant(type) - zero) + zero);
  }
  return out;
}

double PlainError(WeightType type, const std::vector<float>& x) {
  return std::min(SquaredError(type, PlainRule(type, x, 255), x),
                  SquaredError(type, PlainRule(type, x, 63), x));
}

// Fails where a field is beyond what quantize_k.h says.
void ExpectInRange(WeightType type, const QuantizedSuperblock& block, size_t count) {
  EXPECT_TRUE(std::isfinite(F16ToF32(block.scale)));
  EXPECT_TRUE(std::isfinite(F16ToF32(block.minimum)));
  EXPECT_NE(block.scale, 0x8000);
  EXPECT_NE(block.minimum, 0x8000);
  for (size_t i = 0; i < kKSuperblock; ++i) {
    EXPECT_LE(block.quants[i], HighestQuant(type));
    if (i >= count) {
      EXPECT_EQ(block.quants[i], type == WeightType::kQ6K ? 32 : 0);
    }
  }
  for (size_t b = 0; b < 16; ++b) {
    const bool beyond = b * ScaleBlock(type) >= count;
    if (beyond) {
      EXPECT_EQ(block.scales[b], 0);
    }
    if (b < 8 && (beyond || type == WeightType::kQ6K)) {
      EXPECT_EQ(block.minima[b], 0);
    }
  }
  if (type == WeightType::kQ6K) {
    EXPECT_EQ(block.minimum, 0);
  }
}

// One as a file may hold it. Each block has its lowest and its highest quant.
QuantizedSuperblock RandomSuperblock(WeightType type, int most, Random& random) {
  QuantizedSuperblock block = {};
  const bool q6k = type == WeightType::kQ6K;
  block.scale = static_cast<uint16_t>(0x0400 + random.Below(0x4000));  // 2^-14 to 4
  if (!q6k) block.minimum = static_cast<uint16_t>(block.scale + random.Below(0x1000));
  for (size_t b = 0; b < kKSuperblock / ScaleBlock(type); ++b) {
    block.scales[b] = static_cast<uint8_t>(q6k ? random.Bits() : 1 + random.Below(most));
    if (!q6k) block.minima[b] = static_cast<uint8_t>(random.Below(most + 1));
  }
  for (size_t i = 0; i < kKSuperblock; ++i) {
    const int highest = HighestQuant(type);
    block.quants[i] = static_cast<uint8_t>(random.Below(highest + 1));
    if (i % ScaleBlock(type) == 0) block.quants[i] = 0;
    if (i % ScaleBlock(type) == 1) block.quants[i] = static_cast<uint8_t>(highest);
  }
  return block;
}

class QuantizeKTest : public ::testing::TestWithParam<WeightType> {};

TEST_P(QuantizeKTest, NeverWorseThanThePlainRules) {
  Random random;
  for (const Fill fill : kFiniteFills) {
    for (const size_t count : kCounts) {
      for (int trial = 0; trial < 100; ++trial) {
        std::vector<float> x(count);
        for (float& v : x) v = Draw(fill, random);
        const QuantizedSuperblock block = Quantized(GetParam(), x);
        ExpectInRange(GetParam(), block, count);
        // The search counts in f32.
        ASSERT_LE(SquaredError(GetParam(), block, x), PlainError(GetParam(), x) * (1 + 1e-5))
            << FillName(fill) << ", " << count << " numbers, trial " << trial;
      }
    }
  }
}

// How much the search gains over nearly normal numbers, with a little room.
TEST_P(QuantizeKTest, GainsOverThePlainRules) {
  Random random;
  double found = 0, plain = 0;
  for (int trial = 0; trial < 500; ++trial) {
    std::vector<float> x(kKSuperblock);
    for (float& v : x) v = 0.05f * random.Normal();
    found += SquaredError(GetParam(), Quantized(GetParam(), x), x);
    plain += PlainError(GetParam(), x);
  }
  EXPECT_LT(found / plain, 0.8);
}

// Relative RMS error over normally distributed numbers (of a true normal distribution it is a
// little more: 6.9%, 3.3%, 1.6%), with a little room.
TEST_P(QuantizeKTest, ErrorOverNormalNumbers) {
  Random random;
  double error = 0, norm = 0;
  for (int trial = 0; trial < 500; ++trial) {
    std::vector<float> x(kKSuperblock);
    for (float& v : x) v = 0.05f * random.Normal();
    error += SquaredError(GetParam(), Quantized(GetParam(), x), x);
    norm += SquaredNorm(x);
  }
  const double most = GetParam() == WeightType::kQ4K   ? 0.069
                      : GetParam() == WeightType::kQ5K ? 0.034
                                                       : 0.017;
  EXPECT_LT(std::sqrt(error / norm), most);
}

TEST_P(QuantizeKTest, WhatAPlainRuleStoresExactlyComesBackExactly) {
  Random random;
  int exact = 0;
  for (int trial = 0; trial < 1000; ++trial) {
    const int most = trial % 2 == 0 ? 255 : 63;
    QuantizedSuperblock block = RandomSuperblock(GetParam(), most, random);
    block.scales[3] = static_cast<uint8_t>(GetParam() == WeightType::kQ6K ? -128 : most);
    block.minima[4] = static_cast<uint8_t>(GetParam() == WeightType::kQ6K ? 0 : most);
    const std::vector<float> x = DecodeAll(GetParam(), block, kKSuperblock);
    if (PlainError(GetParam(), x) != 0) continue;
    ++exact;
    EXPECT_EQ(SquaredError(GetParam(), Quantized(GetParam(), x), x), 0) << "trial " << trial;
  }
  EXPECT_GT(exact, 900);
}

// Also where no plain rule finds it: integers of any size. The steps of a block that has its lowest
// and highest quant are seen, and what all are multiples of is found.
TEST_P(QuantizeKTest, WhatWasStoredComesBack) {
  Random random;
  for (int trial = 0; trial < 1000; ++trial) {
    const QuantizedSuperblock block =
        RandomSuperblock(GetParam(), trial % 2 == 0 ? 255 : 63, random);
    const std::vector<float> x = DecodeAll(GetParam(), block, kKSuperblock);
    EXPECT_EQ(SquaredError(GetParam(), Quantized(GetParam(), x), x), 0) << "trial " << trial;
  }
}

// Blocks that do not reach the ends of their quants may be taken for ones of smaller steps.
TEST_P(QuantizeKTest, WhatWasStoredComesNearlyBack) {
  Random random;
  for (int trial = 0; trial < 500; ++trial) {
    QuantizedSuperblock block = RandomSuperblock(GetParam(), 255, random);
    for (uint8_t& quant : block.quants)
      quant = static_cast<uint8_t>(random.Below(HighestQuant(GetParam()) + 1));
    const std::vector<float> x = DecodeAll(GetParam(), block, kKSuperblock);
    EXPECT_LE(SquaredError(GetParam(), Quantized(GetParam(), x), x), SquaredNorm(x) * 0.03 * 0.03);
  }
}

// No weight is further off than half a step, unless a few at the ends were cut to save the others:
// at most two steps of the plain rule.
TEST_P(QuantizeKTest, NoWeightIsFarOff) {
  Random random;
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<float> x(kKSuperblock);
    for (float& v : x) v = random.Normal();
    const QuantizedSuperblock block = Quantized(GetParam(), x),
                              plain = PlainRule(GetParam(), x, 255);
    for (size_t i = 0; i < x.size(); ++i) {
      const uint8_t scale = plain.scales[i / ScaleBlock(GetParam())];
      const float integer = GetParam() == WeightType::kQ6K
                                ? std::fabs(static_cast<float>(static_cast<int8_t>(scale)))
                                : static_cast<float>(scale);
      EXPECT_LE(std::fabs(x[i] - Decode(GetParam(), block, i)),
                2 * integer * std::fabs(F16ToF32(plain.scale)))
          << trial << ' ' << i;
    }
  }
}

// The same whatever lies behind the numbers.
TEST_P(QuantizeKTest, NumbersBeyondTheCountCountForNothing) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  Random random;
  for (const size_t count : kCounts) {
    std::vector<float> x(kKSuperblock, 1e30f);
    for (size_t i = 0; i < count; ++i) x[i] = random.Normal();
    const QuantizedSuperblock block = QuantizeSuperblock(GetParam(), x.data(), count);
    std::fill(x.begin() + static_cast<std::ptrdiff_t>(count), x.end(), kNaN);
    const QuantizedSuperblock other = QuantizeSuperblock(GetParam(), x.data(), count);
    EXPECT_EQ(std::memcmp(&block, &other, sizeof(block)), 0) << count;
    ExpectInRange(GetParam(), block, count);
    for (size_t i = 0; i < count; ++i) EXPECT_NEAR(Decode(GetParam(), block, i), x[i], 0.3f);
  }
}

TEST_P(QuantizeKTest, ZerosAndNothing) {
  const std::vector<float> zeros(kKSuperblock, -0.0f);
  for (const size_t count : {size_t{0}, size_t{3}, kKSuperblock}) {
    const QuantizedSuperblock block = QuantizeSuperblock(GetParam(), zeros.data(), count);
    ExpectInRange(GetParam(), block, 0);
    EXPECT_EQ(block.scale, 0);
    EXPECT_EQ(block.minimum, 0);
  }
}

// One number for all 256, which is one of 240 multiples of f16 numbers.
TEST_P(QuantizeKTest, Constants) {
  for (const float c : {1.0f, -1.0f, 0.1f, -0.1f, 1000.3f, -1000.3f, 65504.0f, -65504.0f}) {
    const std::vector<float> x(kKSuperblock, c);
    const QuantizedSuperblock block = Quantized(GetParam(), x);
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(Decode(GetParam(), block, i), c, std::fabs(c) * 0x1p-16f) << c;
    }
  }
}

// Numbers of one sign, far from 0: minima are multiples of a 255th of the largest, and steps above
// them must make up for it. Positive ones need a negative number for minima, and all mixtures with
// others some compromise.
TEST_P(QuantizeKTest, OneSign) {
  Random random;
  for (const float center : {-1000.0f, -3.0f, 3.0f, 1000.0f}) {
    for (int trial = 0; trial < 100; ++trial) {
      std::vector<float> x(kKSuperblock);
      for (float& v : x) v = center * (1 + 0.05f * random.Uniform());
      const QuantizedSuperblock block = Quantized(GetParam(), x);
      ExpectInRange(GetParam(), block, x.size());
      const double error = std::sqrt(SquaredError(GetParam(), block, x) / SquaredNorm(x));
      EXPECT_LT(error, GetParam() == WeightType::kQ4K   ? 0.0025
                       : GetParam() == WeightType::kQ5K ? 0.00125
                                                        : 0.01)
          << center;
      EXPECT_LE(SquaredError(GetParam(), block, x), PlainError(GetParam(), x) * (1 + 1e-5));
      for (size_t i = 0; i < kQuantBlock; ++i) x[i] = random.Normal();
      EXPECT_LE(SquaredError(GetParam(), Quantized(GetParam(), x), x),
                PlainError(GetParam(), x) * (1 + 1e-5));
    }
  }
}

// Opposite numbers are as good.
TEST_P(QuantizeKTest, BothSignsAlike) {
  Random random;
  double error = 0, opposite = 0;
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<float> x(kKSuperblock);
    for (float& v : x) v = std::fabs(random.Normal()) + 0.1f;
    error += SquaredError(GetParam(), Quantized(GetParam(), x), x);
    for (float& v : x) v = -v;
    opposite += SquaredError(GetParam(), Quantized(GetParam(), x), x);
  }
  EXPECT_NEAR(error / opposite, 1, 0.02);
}

// A number of 30 times the others' size costs its block, and the others little.
TEST_P(QuantizeKTest, OneOutlier) {
  Random random;
  double error = 0, norm = 0;
  for (int trial = 0; trial < 100; ++trial) {
    std::vector<float> x(kKSuperblock);
    for (float& v : x) v = random.Normal();
    x[40] = trial % 2 == 0 ? 30.0f : -30.0f;
    const QuantizedSuperblock block = Quantized(GetParam(), x);
    EXPECT_LE(SquaredError(GetParam(), block, x), PlainError(GetParam(), x) * (1 + 1e-5));
    for (size_t i = kKSuperblock / 2; i < kKSuperblock; ++i) {
      const double e = double{x[i]} - Decode(GetParam(), block, i);
      error += e * e;
      norm += double{x[i]} * x[i];
    }
  }
  const double most = GetParam() == WeightType::kQ4K   ? 0.075
                      : GetParam() == WeightType::kQ5K ? 0.04
                                                       : 0.03;
  EXPECT_LT(std::sqrt(error / norm), most);
}

// f16 ends at 2^-24: a quant can still be that, however far below the rule's scale would be.
TEST_P(QuantizeKTest, TinyBlocks) {
  for (const float x : {0x1p-24f, -0x1p-24f, 0x3p-24f, 0x1p-22f, -0x1p-20f}) {
    const QuantizedSuperblock block = QuantizeSuperblock(GetParam(), &x, 1);
    EXPECT_EQ(Decode(GetParam(), block, 0), x);
  }
  const std::vector<float> below = {1e-40f, -1e-44f, 1e-30f, 0x1p-26f};
  const QuantizedSuperblock block = Quantized(GetParam(), below);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(Decode(GetParam(), block, i), 0) << i;
}

// As exact as what its scale is a multiple of, which below 2^-14 is a multiple of 2^-24.
TEST_P(QuantizeKTest, OneNumberIsNearlyExact) {
  Random random;
  for (int trial = 0; trial < 1000; ++trial) {
    const float x = random.Normal() * testing::PowerOfTwo(static_cast<int>(random.Below(16)) - 8);
    const QuantizedSuperblock block = QuantizeSuperblock(GetParam(), &x, 1);
    EXPECT_NEAR(Decode(GetParam(), block, 0), x, std::max(std::fabs(x) * 0x1p-11f, 0x1p-17f)) << x;
  }
}

TEST_P(QuantizeKTest, TheLargest) {
  const float largest = LargestWeight(GetParam());
  EXPECT_EQ(largest, 65504);
  for (const float sign : {1.0f, -1.0f}) {
    const std::vector<float> x = {sign * largest,     0,        sign * largest,
                                  sign * largest / 2, -largest, largest};
    for (size_t count = 1; count <= x.size(); ++count) {
      EXPECT_EQ(FindUnstorable(GetParam(), x.data(), count), count);
      const QuantizedSuperblock block = QuantizeSuperblock(GetParam(), x.data(), count);
      ExpectInRange(GetParam(), block, count);
      for (size_t i = 0; i < count; ++i) {
        EXPECT_NEAR(Decode(GetParam(), block, i), x[i], largest / 15) << i << " of " << count;
      }
    }
  }
}

TEST_P(QuantizeKTest, WhatCannotBeStored) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float beyond = std::nextafter(LargestWeight(GetParam()), kInfinity);
  for (const float bad : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(), beyond,
                          -beyond, std::numeric_limits<float>::max()}) {
    for (const size_t at : {0, 1, 100, 255}) {
      std::vector<float> x(kKSuperblock, 1.0f);
      x[at] = bad;
      EXPECT_EQ(FindUnstorable(GetParam(), x.data(), x.size()), at);
      const QuantizedSuperblock block = Quantized(GetParam(), x);
      for (size_t i = 0; i < x.size(); ++i) {
        EXPECT_TRUE(std::isnan(Decode(GetParam(), block, i)));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, QuantizeKTest, ::testing::ValuesIn(kTypes),
                         [](const auto& info) { return std::string(WeightTypeName(info.param)); });

// The same from every compiler and CPU; a change of the search changes these numbers.
TEST(QuantizeKBytesTest, SameBytesEverywhere) {
  const struct {
    WeightType type;
    uint64_t hash;
  } cases[] = {{WeightType::kQ4K, 17662310091755132793u},
               {WeightType::kQ5K, 6044064287646139747u},
               {WeightType::kQ6K, 4772286016876265669u}};
  for (const auto& c : cases) {
    Random random;
    std::vector<QuantizedSuperblock> blocks;
    for (const Fill fill : kFiniteFills) {
      for (size_t i = 0; i < 256; ++i) {
        std::vector<float> x(1 + i);
        for (float& v : x) v = Draw(fill, random);
        blocks.push_back(Quantized(c.type, x));
      }
    }
    static_assert(sizeof(QuantizedSuperblock) == 284, "hashed without padding");
    EXPECT_EQ(XXH3_64bits(blocks.data(), blocks.size() * sizeof(blocks[0])), c.hash)
        << WeightTypeName(c.type);
  }
}

}  // namespace
}  // namespace tvl
