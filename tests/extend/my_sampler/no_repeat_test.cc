#include "my_sampler/no_repeat.h"

#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "core/sampler.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "samplers/chain.h"
#include "samplers/draw.h"
#include "samplers/greedy.h"
#include "samplers/temperature.h"
#include "samplers/top_k.h"
#include "samplers/top_p.h"

namespace {

static_assert(tvl::Sampler<NoRepeat<tvl::Greedy>>);
static_assert(tvl::Sampler<NoRepeat<tvl::Draw>>);
static_assert(tvl::Sampler<NoRepeat<NoRepeat<tvl::Greedy>>>);

// The token after `past` where 3 is likelier than 2, 2 than 1 and 1 than 0.
tvl::TokenId After(std::vector<tvl::TokenId> past, size_t length) {
  std::vector<float> logits = {0, 1, 2, 3};
  return NoRepeat<tvl::Greedy>(length).Sample(logits, {.tokens = past});
}

TEST(NoRepeatTest, RunsOfOneTokenAreTheTokensThemselves) {
  EXPECT_EQ(After({}, 1), 3);
  EXPECT_EQ(After({3}, 1), 2);
  EXPECT_EQ(After({3, 1, 2}, 1), 0);
}

TEST(NoRepeatTest, OnlyAWholeRunCounts) {
  EXPECT_EQ(After({1}, 2), 3);
  EXPECT_EQ(After({1, 3, 1}, 2), 2);
  EXPECT_EQ(After({1, 3, 1, 2, 1}, 2), 1);
  EXPECT_EQ(After({3, 3}, 2), 2);  // runs may overlap
  EXPECT_EQ(After({1, 3, 1}, 3), 3);
  EXPECT_EQ(After({0, 1, 3, 0, 1}, 3), 2);
}

TEST(NoRepeatTest, EndsAChain) {
  tvl::Chain sampler(tvl::TopK(2), NoRepeat(1, tvl::Greedy()));
  static_assert(tvl::Sampler<decltype(sampler)>);
  std::vector<float> logits = {0, 1, 2, 3};
  const std::vector<tvl::TokenId> past = {3};
  EXPECT_EQ(sampler.Sample(logits, {.tokens = past}), 2);
}

// How many pairs of neighbours are new in 200 tokens from logits that are all alike.
template <tvl::Sampler Sampler>
size_t DifferentPairs(Sampler sampler) {
  std::vector<tvl::TokenId> tokens;
  std::set<std::pair<tvl::TokenId, tvl::TokenId>> pairs;
  for (uint64_t step = 0; step < 200; ++step) {
    std::vector<float> logits(100, 1.0f);
    tokens.push_back(sampler.Sample(logits, {.tokens = tokens, .step = step}));
    if (step > 0) pairs.emplace(tokens[step - 1], tokens[step]);
  }
  return pairs.size();
}

TEST(NoRepeatTest, GoesAroundAChain) {
  tvl::Chain chain(tvl::TopK(40), tvl::TopP(0.9f), tvl::Temperature(0.8f), tvl::Draw(/*seed=*/1));
  NoRepeat sampler(/*length=*/2, chain);
  static_assert(tvl::Sampler<decltype(sampler)>);
  EXPECT_LT(DifferentPairs(chain), 199u);
  EXPECT_EQ(DifferentPairs(sampler), 199u);
}

TEST(NoRepeatTest, ResetReachesTheNext) {
  std::vector<tvl::TokenId> drawn[2];
  NoRepeat sampler(1, tvl::Draw(1));
  for (auto& tokens : drawn) {
    sampler.Reset(7);
    for (uint64_t step = 0; step < 20; ++step) {
      std::vector<float> logits(100, 1.0f);
      tokens.push_back(sampler.Sample(logits, {.tokens = tokens, .step = step}));
    }
  }
  EXPECT_EQ(drawn[0], drawn[1]);
}

}  // namespace
