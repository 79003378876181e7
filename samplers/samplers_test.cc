#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "gtest/gtest.h"
#include "samplers/greedy.h"
#include "samplers/temperature.h"

namespace tvl {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNaN = std::numeric_limits<float>::quiet_NaN();

// Samplers may overwrite their logits: each call gets a copy.
template <typename S>
TokenId Draw(S& sampler, std::vector<float> logits, uint64_t step = 0) {
  return sampler.Sample(logits, {.tokens = {}, .step = step});
}

TokenId Best(std::vector<float> logits) { return Greedy().Sample(logits); }

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

TEST(TemperatureTest, ZeroIsGreedy) {
  Temperature sampler(0, 1);
  for (uint64_t step = 0; step < 100; ++step) {
    EXPECT_EQ(Draw(sampler, {0.1f, 0.3f, 0.3f, 0.2f}, step), 1);
  }
}

TEST(TemperatureTest, DrawsFromTheSoftmax) {
  constexpr int kDraws = 20000;
  const std::vector<float> logits = {1.5f, -0.5f, 0.0f, 2.0f, 1.0f, -1.0f, 0.5f, 1.9f};
  for (const float temperature : {0.5f, 1.0f, 2.0f}) {
    std::vector<double> probabilities;
    double total = 0;
    for (const float logit : logits) {
      probabilities.push_back(
          std::exp(static_cast<double>(logit) / static_cast<double>(temperature)));
      total += probabilities.back();
    }
    Temperature sampler(temperature, 20260103);
    std::vector<int> counts(logits.size());
    for (uint64_t step = 0; step < kDraws; ++step)
      ++counts[static_cast<size_t>(Draw(sampler, logits, step))];
    double chi2 = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
      const double expected = probabilities[i] / total * kDraws;
      chi2 += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    EXPECT_LT(chi2, 24.3) << temperature;  // 99.9% of chi-square with 7 degrees of freedom
  }
}

TEST(TemperatureTest, TheDrawDependsOnSeedStepAndLogitsAlone) {
  std::vector<float> logits(100);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i % 7);
  Temperature a(1, 5), b(1, 5), other(1, 6);
  std::vector<TokenId> from_a, from_b, from_other;
  for (uint64_t step = 0; step < 50; ++step) from_a.push_back(Draw(a, logits, step));
  for (uint64_t step = 50; step-- > 0;) from_b.insert(from_b.begin(), Draw(b, logits, step));
  for (uint64_t step = 0; step < 50; ++step) from_other.push_back(Draw(other, logits, step));
  EXPECT_EQ(from_a, from_b);
  EXPECT_NE(from_a, from_other);
  other.Reset(5);
  for (uint64_t step = 0; step < 50; ++step) EXPECT_EQ(Draw(other, logits, step), from_a[step]);
}

TEST(TemperatureTest, NeverDrawsWhatHasNoProbability) {
  Temperature sampler(1, 3);
  for (uint64_t step = 0; step < 300; ++step) {
    const TokenId id = Draw(sampler, {kNaN, 1, -kInf, 1.5f, -200, kNaN}, step);
    EXPECT_TRUE(id == 1 || id == 3) << id;
  }
}

TEST(TemperatureTest, SurvivesDegenerateLogits) {
  Temperature sampler(1, 3);
  for (uint64_t step = 0; step < 20; ++step) {
    EXPECT_EQ(Draw(sampler, {7}, step), 0);
    for (const std::vector<float>& logits :
         {std::vector<float>{kNaN, kNaN}, {-kInf, -kInf}, {0, kInf}, {kInf, kInf}, {kNaN, -kInf}}) {
      const TokenId id = Draw(sampler, logits, step);
      EXPECT_GE(id, 0);
      EXPECT_LT(id, static_cast<TokenId>(logits.size()));
    }
  }
}

TEST(TemperatureTest, ALowTemperatureIsNearlyGreedyAndAHighOneNearlyUniform) {
  Temperature cold(0.01f, 9), hot(1e6f, 9);
  int counts[4] = {};
  for (uint64_t step = 0; step < 4000; ++step) {
    EXPECT_EQ(Draw(cold, {1, 2, 3, 2.5f}, step), 2);
    ++counts[Draw(hot, {1, 2, 3, 2.5f}, step)];
  }
  for (const int count : counts) EXPECT_NEAR(count, 1000, 150);
}

}  // namespace
}  // namespace tvl
