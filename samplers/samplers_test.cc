// Greedy, Draw, and Draw behind Temperature.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/philox.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "samplers/chain.h"
#include "samplers/draw.h"
#include "samplers/greedy.h"
#include "samplers/sampling_test_util.h"
#include "samplers/standard_chain.h"
#include "samplers/temperature.h"

namespace tvl {
namespace {

using testing::ExpectDistribution;
using testing::kInf;
using testing::kNaN;
using testing::Logits;
using testing::Random;
using testing::Sample;
using testing::Softmax;

auto Tempered(float temperature, uint64_t seed) {
  return Chain(Temperature(temperature), Draw(seed));
}

TokenId Best(const Logits& logits) { return Sample(Greedy(), logits); }

TEST(GreedyTest, TheLargestWins) {
  EXPECT_EQ(Best({5}), 0);
  EXPECT_EQ(Best({1, 3, 2}), 1);
  EXPECT_EQ(Best({-3, -2, -1}), 2);
  EXPECT_EQ(Best({0, kInf, 1}), 1);
}

TEST(GreedyTest, TheLowestIdWinsATie) {
  EXPECT_EQ(Best({1, 2, 2, 2}), 1);
  EXPECT_EQ(Best({0.0f, -0.0f}), 0);
  EXPECT_EQ(Best({-0.0f, 0.0f}), 0);
  EXPECT_EQ(Best({1, kInf, kInf}), 1);
  EXPECT_EQ(Best({-kInf, -kInf}), 0);
}

TEST(GreedyTest, ANaNNeverWins) {
  EXPECT_EQ(Best({kNaN, 1, 2}), 2);
  EXPECT_EQ(Best({1, kNaN, 0}), 0);
  EXPECT_EQ(Best({1, 2, kNaN}), 1);
  EXPECT_EQ(Best({kNaN, -kInf, -5}), 2);
  EXPECT_EQ(Best({kNaN, kNaN}), 0);  // nothing to choose from: still an id
}

TEST(GreedyTest, WhereverTheBestIs) {
  for (size_t n = 1; n <= 50; ++n) {
    for (size_t best = 0; best < n; ++best) {
      Logits logits(n, -2);
      logits[best] = -1;
      if (best + 7 < n) logits[best + 7] = -1;
      if (best > 2) logits[best - 3] = kNaN;
      ASSERT_EQ(Best(logits), static_cast<TokenId>(best)) << n;
    }
  }
}

TEST(DrawTest, DrawsFromTheSoftmax) {
  const Logits logits = {1.5f, -0.5f, kNaN, 0.0f, 2.0f, 1.0f, -kInf, -1.0f, 0.5f, 1.9f, -300};
  for (const float temperature : {0.3f, 0.5f, 1.0f, 2.0f, 10.0f}) {
    SCOPED_TRACE(temperature);
    std::vector<double> p = Softmax(logits, static_cast<double>(temperature));
    if (temperature < 2) p.back() = 0;
    auto sampler = Tempered(temperature, 20260103);
    ExpectDistribution(sampler, logits, p, 40000);
  }
  Draw draw(20260103);
  std::vector<double> p = Softmax(logits);
  p.back() = 0;
  ExpectDistribution(draw, logits, p, 40000);
}

// Of n equal tokens, n a power of two, the draw is floor(u * n) in exact arithmetic: at the edges
// of the tokens' shares, too, which few steps hit.
TEST(DrawTest, OfEqualTokensExactly) {
  constexpr size_t kTokens = 64;
  Draw draw(77);
  size_t edges = 0;
  for (uint64_t step = 0; step < 1000000; ++step) {
    const float at = UniformFloat(77, step) * kTokens;
    const bool edge = at == std::floor(at);
    if (step >= 2000 && !edge) continue;
    edges += edge ? 1 : 0;
    ASSERT_EQ(Sample(draw, Logits(kTokens, -2.5f), step), static_cast<TokenId>(at)) << step;
  }
  EXPECT_GE(edges, 1u);
}

TEST(DrawTest, AThousandTokensToo) {
  Random random;
  Logits logits(1000);
  for (float& logit : logits) logit = random.Normal();
  Draw draw(7);
  ExpectDistribution(draw, logits, Softmax(logits), 20000);
}

TEST(DrawTest, PermutedLogitsGiveAPermutedDistribution) {
  const Logits logits = {0, 1, 2, 3, 1.5f, 0.5f}, permuted = {1.5f, 3, 0, 0.5f, 2, 1};
  Draw draw(3);
  ExpectDistribution(draw, logits, Softmax(logits), 30000);
  ExpectDistribution(draw, permuted, Softmax(permuted), 30000);
}

TEST(DrawTest, DependsOnSeedStepAndLogitsAlone) {
  Logits logits(100);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i % 7);
  auto a = Tempered(1, 5), b = Tempered(1, 5), other = Tempered(1, 6);
  std::vector<TokenId> from_a, from_b, from_other;
  for (uint64_t step = 0; step < 50; ++step) from_a.push_back(Sample(a, logits, step));
  for (uint64_t step = 50; step-- > 0;) from_b.insert(from_b.begin(), Sample(b, logits, step));
  for (uint64_t step = 0; step < 50; ++step) from_other.push_back(Sample(other, logits, step));
  EXPECT_EQ(from_a, from_b);
  EXPECT_NE(from_a, from_other);
  other.Reset(5);
  for (uint64_t step = 0; step < 50; ++step) EXPECT_EQ(Sample(other, logits, step), from_a[step]);
}

// What every machine must draw: the sampler's share of a golden text.
TEST(DrawTest, KnownTokens) {
  Logits logits(1000);
  for (size_t i = 0; i < logits.size(); ++i) {
    logits[i] = static_cast<float>(i * i * 31 % 997) * 0.01f;
  }
  auto sampler = Tempered(0.8f, 42);
  std::vector<TokenId> tokens;
  for (uint64_t step = 0; step < 12; ++step) tokens.push_back(Sample(sampler, logits, step));
  const std::vector<TokenId> expected = {610, 982, 846, 755, 320, 295,
                                         198, 356, 536, 242, 517, 320};
  EXPECT_EQ(tokens, expected);
}

TEST(DrawTest, NeverDrawsWhatHasNoProbability) {
  Draw draw(3);
  for (uint64_t step = 0; step < 300; ++step) {
    const TokenId id = Sample(draw, {kNaN, 1, -kInf, 1.5f, -200, kNaN}, step);
    EXPECT_TRUE(id == 1 || id == 3) << id;
  }
}

TEST(DrawTest, DegenerateLogitsHaveADefinedResult) {
  for (const float temperature : {0.0f, 1e-30f, 1.0f, 1e30f}) {
    auto sampler = Tempered(temperature, 3);
    for (uint64_t step = 0; step < 20; ++step) {
      EXPECT_EQ(Sample(sampler, {7}, step), 0);
      EXPECT_EQ(Sample(sampler, {kNaN, kNaN}, step), 0);
      EXPECT_EQ(Sample(sampler, {-kInf, -kInf}, step), 0);
      EXPECT_EQ(Sample(sampler, {kNaN, -kInf}, step), 0);
      EXPECT_EQ(Sample(sampler, {kNaN, -kInf, -3e38f}, step), 2);
      EXPECT_EQ(Sample(sampler, {0, kInf}, step), 1);
      EXPECT_EQ(Sample(sampler, {3, kInf, kNaN, kInf}, step), 1);
    }
  }
}

TEST(TemperatureTest, ZeroIsGreedy) {
  auto sampler = Tempered(0, 1);
  for (uint64_t step = 0; step < 100; ++step) {
    EXPECT_EQ(Sample(sampler, {0.1f, 0.3f, 0.3f, 0.2f}, step), 1);
    EXPECT_EQ(Sample(sampler, {kNaN, -0.3f, -0.3f, -kInf}, step), 1);
  }
}

TEST(TemperatureTest, ALowOneIsNearlyGreedyAndAHighOneNearlyUniform) {
  auto cold = Tempered(0.01f, 9), hot = Tempered(1e6f, 9);
  int counts[4] = {};
  for (uint64_t step = 0; step < 4000; ++step) {
    EXPECT_EQ(Sample(cold, {1, 2, 3, 2.5f}, step), 2);
    ++counts[Sample(hot, {1, 2, 3, 2.5f}, step)];
  }
  for (const int count : counts) EXPECT_NEAR(count, 1000, 150);
}

TEST(TemperatureTest, NoOverflowHoweverSmall) {
  auto sampler = Tempered(1e-38f, 9);
  for (uint64_t step = 0; step < 20; ++step) {
    EXPECT_EQ(Sample(sampler, {-3e38f, 3e38f, 1, 2.9e38f}, step), 1);
  }
}

TEST(StandardChainTest, ByDefaultGreedy) {
  auto sampler = MakeStandardChain({});
  for (uint64_t step = 0; step < 50; ++step) {
    EXPECT_EQ(Sample(sampler, {0.1f, 0.3f, 0.3f, 0.2f}, step), 1);
  }
}

TEST(StandardChainTest, TemperatureAloneIsTemperatureAlone) {
  Random random;
  Logits logits(500);
  for (float& logit : logits) logit = random.Normal() * 3;
  auto standard = MakeStandardChain({.temperature = 0.7f, .seed = 11});
  auto alone = Tempered(0.7f, 11);
  for (uint64_t step = 0; step < 200; ++step) {
    EXPECT_EQ(Sample(standard, logits, step), Sample(alone, logits, step));
  }
}

}  // namespace
}  // namespace tvl
