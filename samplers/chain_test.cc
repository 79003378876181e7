// Parts put together: the order that they run in, what they hand on, parts from elsewhere.
#include "samplers/chain.h"

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "core/sampler.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "samplers/draw.h"
#include "samplers/greedy.h"
#include "samplers/min_p.h"
#include "samplers/sampling_test_util.h"
#include "samplers/standard_chain.h"
#include "samplers/temperature.h"
#include "samplers/top_k.h"
#include "samplers/top_p.h"

namespace tvl {
namespace {

using testing::ExpectDistribution;
using testing::FilterInputs;
using testing::kInf;
using testing::kNaN;
using testing::Logits;
using testing::Running;
using testing::Sample;
using testing::Softmax;

// A part that is not of this library: the token before may not come again.
struct NoRepeat {
  void Apply(std::span<float> logits, const SampleContext& context) const {
    if (!context.tokens.empty()) logits[static_cast<size_t>(context.tokens.back())] = -kInf;
  }
};

// One with a state of its own, which Reset reaches.
struct CountsResets {
  int* resets;
  void Apply(std::span<float>, const SampleContext&) const {}
  void Reset(uint64_t) { ++*resets; }
};

static_assert(Sampler<Chain<Greedy>>);
static_assert(Sampler<Chain<Draw>>);
static_assert(Sampler<Chain<TopK, TopP, MinP, Temperature, Draw>>);
static_assert(Sampler<Chain<NoRepeat, Greedy>>);
static_assert(Sampler<Chain<TopK, Chain<Temperature, Draw>>>);  // a chain ends a chain
static_assert(ChainParts<TopK, Greedy>);
static_assert(!ChainParts<>);
static_assert(!ChainParts<TopK>);          // nobody picks
static_assert(!ChainParts<Greedy, TopK>);  // nobody picks at the end
static_assert(!ChainParts<Greedy, Greedy>);
static_assert(!ChainParts<TopK, int, Greedy>);
static_assert(!LogitsProcessor<Greedy> && !Sampler<TopK>);

// The ids that a sampler picks within many steps.
template <typename S>
std::set<TokenId> Picked(S sampler, const Logits& logits, uint64_t steps = 2000) {
  std::set<TokenId> ids;
  for (uint64_t step = 0; step < steps; ++step) ids.insert(Sample(sampler, logits, step));
  return ids;
}

TEST(ChainTest, PartsRunInOrder) {
  // 0.5, 0.25 and 0.25 among the first three; the fourth takes half of all.
  const float ln2 = 0.69314718f;
  const Logits logits = {ln2, 0, 0, 2 * ln2};
  // TopP(0.6) of all four: {3, 0}. Of the three best (4/7, 2/7, 1/7): {3, 0}; at 0.55 {3} alone.
  EXPECT_EQ(Picked(Chain(TopP(0.55f), Draw(1)), logits), (std::set<TokenId>{0, 3}));
  EXPECT_EQ(Picked(Chain(TopK(3), TopP(0.55f), Draw(1)), logits), (std::set<TokenId>{3}));
  EXPECT_EQ(Picked(Chain(TopP(0.55f), TopK(3), Draw(1)), logits), (std::set<TokenId>{0, 3}));
  // A high temperature before TopP lets more in, after it none.
  EXPECT_EQ(Picked(Chain(Temperature(100), TopP(0.9f), Draw(1)), logits),
            (std::set<TokenId>{0, 1, 2, 3}));
  EXPECT_EQ(Picked(Chain(TopP(0.55f), Temperature(100), Draw(1)), logits),
            (std::set<TokenId>{0, 3}));
  // The same for MinP: 1/4 of the best's probability before, nearly all of it after.
  EXPECT_EQ(Picked(Chain(MinP(0.3f), Temperature(100), Draw(1)), logits),
            (std::set<TokenId>{0, 3}));
  EXPECT_EQ(Picked(Chain(Temperature(100), MinP(0.3f), Draw(1)), logits),
            (std::set<TokenId>{0, 1, 2, 3}));
}

TEST(ChainTest, TheStandardOrderIsTopKTopPMinPTemperature) {
  const Logits logits = {1, 0.5f, 3, 2.9f, 2.8f, 2.7f, 2, 1.9f, 0.1f, 0, 2.85f};
  const SamplingOptions options = {
      .top_k = 6, .top_p = 0.77f, .min_p = 0.79f, .temperature = 3, .seed = 9};
  auto standard = MakeStandardChain(options);
  auto spelled_out = Chain(TopK(6), TopP(0.77f), MinP(0.79f), Temperature(3), Draw(9));
  for (uint64_t step = 0; step < 500; ++step) {
    ASSERT_EQ(Sample(standard, logits, step), Sample(spelled_out, logits, step));
  }
  // Other orders keep other tokens.
  const std::set<TokenId> kept = Picked(standard, logits);
  EXPECT_EQ(kept, (std::set<TokenId>{2, 3, 4, 10}));
  EXPECT_NE(Picked(Chain(Temperature(3), TopK(6), TopP(0.77f), MinP(0.79f), Draw(9)), logits),
            kept);
  EXPECT_NE(Picked(Chain(MinP(0.79f), TopP(0.77f), TopK(6), Temperature(3), Draw(9)), logits),
            kept);
}

// Of the three best two make up 0.6; of all it takes four.
TEST(ChainTest, InTheStandardChainTopPIsOfWhatTopKLeaves) {
  const Logits logits = {1, 0.5f, 3, 2.9f, 2.8f, 2.7f, 2, 1.9f, 0.1f, 0, 2.85f};
  EXPECT_EQ(
      Picked(MakeStandardChain({.top_k = 3, .top_p = 0.6f, .temperature = 3, .seed = 9}), logits),
      (std::set<TokenId>{2, 3}));
  EXPECT_EQ(Picked(Chain(TopP(0.6f), TopK(3), Temperature(3), Draw(9)), logits),
            (std::set<TokenId>{2, 3, 10}));
}

// The distribution of what is left, tempered, and nothing else: over all kinds of logits.
TEST(ChainTest, DrawsFromTheTemperedSoftmaxOfWhatIsLeft) {
  const Logits logits = {2, kNaN, 1.5f, 1.4f, 1.4f, 0.2f, -1, -kInf, 1.9f, -3};
  Logits left = logits;
  TopK(6).Apply(left, {});
  TopP(0.9f).Apply(left, {});
  MinP(0.1f).Apply(left, {});
  EXPECT_EQ(Running(left), (std::set<size_t>{0, 2, 3, 4, 8}));
  auto sampler =
      MakeStandardChain({.top_k = 6, .top_p = 0.9f, .min_p = 0.1f, .temperature = 1.7f, .seed = 4});
  ExpectDistribution(sampler, logits, Softmax(left, 1.7), 40000);
}

TEST(ChainTest, FiltersThatLeaveOneTokenAreGreedy) {
  for (const Logits& logits : FilterInputs()) {
    const TokenId best = Sample(Greedy(), logits);
    EXPECT_EQ(Sample(Chain(TopK(1), Draw(1)), logits), best);
    EXPECT_EQ(Sample(Chain(TopP(0), Temperature(5), Draw(1)), logits), best);
    EXPECT_EQ(Sample(Chain(TopK(5), TopP(0.9f), Temperature(0), Draw(1)), logits), best);
  }
}

TEST(ChainTest, DegenerateLogitsHaveADefinedResult) {
  for (const float temperature : {0.0f, 0.8f}) {
    auto sampler = MakeStandardChain(
        {.top_k = 2, .top_p = 0.9f, .min_p = 0.1f, .temperature = temperature, .seed = 1});
    for (uint64_t step = 0; step < 10; ++step) {
      EXPECT_EQ(Sample(sampler, {kNaN, kNaN, kNaN}, step), 0);
      EXPECT_EQ(Sample(sampler, {-kInf, -kInf, -kInf}, step), 0);
      EXPECT_EQ(Sample(sampler, {1, kNaN, kInf, kInf}, step), 2);
      EXPECT_EQ(Sample(sampler, {kNaN, -kInf, -1, -kInf}, step), 2);
      EXPECT_EQ(Sample(sampler, {-5}, step), 0);
    }
  }
}

TEST(ChainTest, PartsFromElsewhereSeeTheContext) {
  auto sampler = Chain(NoRepeat(), Greedy());
  const std::vector<TokenId> tokens = {0, 2};
  Logits logits = {1, 2, 3, 2};
  EXPECT_EQ(sampler.Sample(logits, {.tokens = tokens, .step = 0}), 1);
  logits = {1, 2, 3, 2};
  EXPECT_EQ(sampler.Sample(logits, {}), 2);
}

TEST(ChainTest, ResetReachesEveryPart) {
  int resets = 0;
  auto sampler = Chain(CountsResets{&resets}, TopK(5), CountsResets{&resets}, Draw(1));
  const Logits logits = {1, 1.1f, 1.2f, 0.9f, 1, 0.7f};
  std::vector<TokenId> one, two;
  for (uint64_t step = 0; step < 50; ++step) one.push_back(Sample(sampler, logits, step));
  sampler.Reset(2);
  EXPECT_EQ(resets, 2);
  for (uint64_t step = 0; step < 50; ++step) two.push_back(Sample(sampler, logits, step));
  EXPECT_NE(one, two);
  sampler.Reset(1);
  // And in any order: nothing is remembered from one call to the next.
  for (uint64_t step = 50; step-- > 0;) EXPECT_EQ(Sample(sampler, logits, step), one[step]);
}

}  // namespace
}  // namespace tvl
