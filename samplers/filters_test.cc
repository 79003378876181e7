// TopK, TopP and MinP against their definitions, written down anew: by sorting, in double
// precision.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <set>
#include <vector>

#include "core/canonical_math.h"
#include "gtest/gtest.h"
#include "samplers/greedy.h"
#include "samplers/min_p.h"
#include "samplers/sampling_test_util.h"
#include "samplers/temperature.h"
#include "samplers/top_k.h"
#include "samplers/top_p.h"
#include "tests/support/random.h"

namespace tvl {
namespace {

using testing::Apply;
using testing::FilterInputs;
using testing::kInf;
using testing::kNaN;
using testing::Logits;
using testing::Random;
using testing::Running;
using testing::Softmax;

using Ids = std::set<size_t>;

// The ids in the running, the largest logit first, the lowest id first among equals.
std::vector<size_t> Ranked(const Logits& logits) {
  const Ids running = Running(logits);
  std::vector<size_t> ids(running.begin(), running.end());
  std::stable_sort(ids.begin(), ids.end(),
                   [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  return ids;
}

Ids First(const std::vector<size_t>& ids, size_t n) {
  return Ids(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(std::min(n, ids.size())));
}

// Whatever a filter keeps keeps its logit, to the bit but for the sign of a zero.
void ExpectUnchangedOrRemoved(const Logits& before, const Logits& after) {
  ASSERT_EQ(before.size(), after.size());
  for (const size_t id : Running(after)) EXPECT_EQ(after[id], before[id]);
}

TEST(TopKTest, KeepsTheKBest) {
  for (const Logits& logits : FilterInputs()) {
    const std::vector<size_t> ranked = Ranked(logits);
    for (const size_t k :
         {size_t{1}, size_t{2}, size_t{3}, size_t{40}, logits.size() / 2, logits.size() - 1,
          logits.size(), logits.size() + 1, size_t{1} << 40, size_t{0}}) {
      SCOPED_TRACE(k);
      const Logits kept = Apply(TopK(k), logits);
      ExpectUnchangedOrRemoved(logits, kept);
      EXPECT_EQ(Running(kept), First(ranked, k == 0 ? ranked.size() : k));
    }
    EXPECT_EQ(Running(Apply(TopK(1), logits)),
              Ids{static_cast<size_t>(testing::Sample(Greedy(), logits))});
  }
}

TEST(TopKTest, TiesAtTheCutGoToTheLowestId) {
  EXPECT_EQ(Running(Apply(TopK(2), {1, 5, 1, 1, 0})), (Ids{0, 1}));
  EXPECT_EQ(Running(Apply(TopK(3), {0, 5, 1, 1, 1})), (Ids{1, 2, 3}));
  EXPECT_EQ(Running(Apply(TopK(2), {-0.0f, 0.0f, -0.0f})), (Ids{0, 1}));
  EXPECT_EQ(Running(Apply(TopK(1), {-1, -0.0f, 0.0f})), (Ids{1}));
  EXPECT_EQ(Running(Apply(TopK(2), {-1e-40f, 1e-40f, 0.0f, -2})), (Ids{1, 2}));
}

TEST(TopKTest, InfinitiesAndNaNs) {
  EXPECT_EQ(Running(Apply(TopK(2), {kNaN, 1, kInf, 2, kInf, kInf})), (Ids{2, 4}));
  EXPECT_EQ(Running(Apply(TopK(4), {kNaN, 1, kInf, -kInf, -2})), (Ids{1, 2, 4}));
  EXPECT_EQ(Running(Apply(TopK(1), {kNaN, kNaN, -kInf})), Ids{});
  EXPECT_EQ(Running(Apply(TopK(1), {kNaN, -3e38f, -kInf, -kNaN})), Ids{1});
}

// The number of tokens that TopP keeps, which are the first of the ranking.
size_t Nucleus(float p, const Logits& logits) {
  const Logits kept = Apply(TopP(p), logits);
  ExpectUnchangedOrRemoved(logits, kept);
  const size_t n = Running(kept).size();
  EXPECT_EQ(Running(kept), First(Ranked(logits), n));
  return n;
}

constexpr float kTopPs[] = {0, 1e-9f, 0.1f, 0.3f, 0.5f, 0.75f, 0.9f, 0.95f, 0.99f, 0.9999f};

// In double precision, and with the C library's exp: the mass that is kept is p at least, and
// without the last token it is less, but for what rounding may do.
TEST(TopPTest, KeepsTheSmallestPrefixOfMassP) {
  constexpr double kRounding = 1e-6;
  for (const Logits& logits : FilterInputs()) {
    const std::vector<size_t> ranked = Ranked(logits);
    const std::vector<double> probability = Softmax(logits);
    for (const float p : kTopPs) {
      SCOPED_TRACE(p);
      const size_t n = Nucleus(p, logits);
      ASSERT_GE(n, 1u);
      double mass = 0;
      for (size_t i = 0; i + 1 < n; ++i) mass += probability[ranked[i]];
      if (n > 1) {
        EXPECT_LT(mass, static_cast<double>(p) + kRounding);
      }
      mass += probability[ranked[n - 1]];
      EXPECT_GE(mass, static_cast<double>(p) - kRounding);
    }
  }
}

// To the token, with the masses of the definition.
TEST(TopPTest, TheCutIsExact) {
  for (const Logits& logits : FilterInputs()) {
    const std::vector<size_t> ranked = Ranked(logits);
    std::vector<uint64_t> mass;
    for (const size_t id : ranked) {
      mass.push_back(static_cast<uint64_t>(
          std::floor(static_cast<double>(Exp(logits[id] - logits[ranked[0]])) * 1099511627776.0)));
    }
    const uint64_t total = std::accumulate(mass.begin(), mass.end(), uint64_t{0});
    for (const float p : kTopPs) {
      const double target = static_cast<double>(p) * static_cast<double>(total);
      size_t n = 0;
      uint64_t sum = 0;
      do sum += mass[n++];
      while (static_cast<double>(sum) < target);
      EXPECT_EQ(Nucleus(p, logits), n) << p;
    }
  }
}

// p times the whole mass is three quarters above the mass of the best, in units of 2^-40: what is
// short of p by less than one unit is short of it.
TEST(TopPTest, FractionsOfAUnitCount) {
  EXPECT_EQ(Nucleus(0x1.fffffp-1f, {0, -0x1.d1cb7ap+3f}), 2u);
  EXPECT_EQ(Nucleus(0x1.ffffeep-1f, {0, -0x1.d1cb7ap+3f}), 1u);
}

TEST(TopPTest, OneKeepsAllAndATinyOneTheBest) {
  for (const Logits& logits : FilterInputs()) {
    EXPECT_EQ(Running(Apply(TopP(1), logits)), Running(logits));
    for (const float p : {0.0f, 1e-45f, 1e-6f}) EXPECT_EQ(Nucleus(p, logits), 1u);
  }
}

// Masses that are exact in any arithmetic.
TEST(TopPTest, TiesAtTheCutGoToTheLowestId) {
  EXPECT_EQ(Running(Apply(TopP(0.5f), {3, 3, 3, 3})), (Ids{0, 1}));
  EXPECT_EQ(Running(Apply(TopP(0.50001f), {3, 3, 3, 3})), (Ids{0, 1, 2}));
  EXPECT_EQ(Running(Apply(TopP(0.49999f), {3, 3, 3, 3})), (Ids{0, 1}));
  EXPECT_EQ(Running(Apply(TopP(0.5f), {-9, 0.0f, kNaN, -0.0f, 0.0f, -kInf, 0.0f})), (Ids{1, 3, 4}));
  EXPECT_EQ(Running(Apply(TopP(0.75f), {-kInf, 3, 3, kNaN, -200, 3, 3})), (Ids{1, 2, 5}));
}

TEST(TopPTest, InfinitiesAreLeftToTheSampler) {
  EXPECT_EQ(Running(Apply(TopP(0.1f), {1, kInf, 2, kInf})), (Ids{0, 1, 2, 3}));
  EXPECT_EQ(Running(Apply(TopP(0.1f), {kNaN, -kInf})), Ids{});
}

TEST(MinPTest, KeepsWhatIsLikelyEnough) {
  for (const Logits& logits : FilterInputs()) {
    const std::vector<double> probability = Softmax(logits);
    const double best = *std::max_element(probability.begin(), probability.end());
    for (const float min_p : {0.0f, 1e-6f, 0.05f, 0.1f, 0.5f, 0.99f, 1.0f}) {
      SCOPED_TRACE(min_p);
      const Logits kept = Apply(MinP(min_p), logits);
      ExpectUnchangedOrRemoved(logits, kept);
      const Ids ids = Running(kept);
      if (min_p == 0) {
        EXPECT_EQ(ids, Running(logits));
        continue;
      }
      for (size_t id = 0; id < logits.size(); ++id) {
        const double ratio = probability[id] / best;
        if (ratio > static_cast<double>(min_p) * (1 + 1e-6)) {
          EXPECT_TRUE(ids.contains(id)) << id;
        } else if (ratio < static_cast<double>(min_p) * (1 - 1e-6)) {
          EXPECT_FALSE(ids.contains(id)) << id;
        }
      }
    }
  }
}

TEST(MinPTest, TheThresholdIsInclusiveAndExact) {
  for (const float logit : {-0.001f, -0.5f, -1.0f, -3.7f, -20.0f}) {
    const float at = Exp(logit);
    const Logits logits = {logit + 8, 8, 8 - 30, kNaN};
    const float exact = Exp(logits[0] - 8);
    EXPECT_EQ(Running(Apply(MinP(exact), logits)), (Ids{0, 1}));
    EXPECT_EQ(Running(Apply(MinP(std::nextafter(exact, 2.0f)), logits)), (Ids{1}));
    EXPECT_EQ(Running(Apply(MinP(at), {logit, 0})), (Ids{0, 1}));
  }
  EXPECT_EQ(Running(Apply(MinP(1), {2, 3, 3, 1})), (Ids{1, 2}));
  EXPECT_EQ(Running(Apply(MinP(0.5f), {1, kInf, 2})), (Ids{0, 1, 2}));
}

// Ids matter for ties alone: where there are none, permuting the logits permutes the result.
TEST(FiltersTest, PermutingTheLogitsPermutesWhatIsKept) {
  Random random;
  Logits logits(997);
  for (size_t i = 0; i < logits.size(); ++i) {
    logits[i] = static_cast<float>(i) * 0.02f;  // no two alike
  }
  for (size_t i = logits.size(); i > 1; --i) std::swap(logits[i - 1], logits[random.Below(i)]);
  Logits rotated = logits;
  std::rotate(rotated.begin(), rotated.begin() + 100, rotated.end());
  const auto expect_rotated = [&](auto filter) {
    Logits expected = Apply(filter, logits);
    std::rotate(expected.begin(), expected.begin() + 100, expected.end());
    EXPECT_EQ(Apply(filter, rotated), expected);
    EXPECT_LT(Running(expected).size(), logits.size());
  };
  expect_rotated(TopK(1));
  expect_rotated(TopK(300));
  expect_rotated(TopP(0.5f));
  expect_rotated(TopP(0.99f));
  expect_rotated(MinP(0.05f));
}

// As large as vocabularies come: half a plateau, half a slope.
TEST(FiltersTest, AVocabularyOf128k) {
  constexpr size_t kTokens = 128256;
  Random random;
  Logits logits(kTokens);
  for (size_t i = 0; i < kTokens; ++i) logits[i] = i % 2 == 0 ? 1.0f : random.Normal() * 3;
  const std::vector<size_t> ranked = Ranked(logits);
  for (const size_t k : {1, 40, 5000, 60000, 128000}) {
    EXPECT_EQ(Running(Apply(TopK(k), logits)), First(ranked, k));
  }
  const std::vector<double> probability = Softmax(logits);
  for (const float p : {0.1f, 0.5f, 0.9f, 0.999f}) {
    const size_t n = Nucleus(p, logits);
    double mass = 0;
    for (size_t i = 0; i < n; ++i) mass += probability[ranked[i]];
    EXPECT_NEAR(mass, static_cast<double>(p), 1e-3);
    EXPECT_GE(mass, static_cast<double>(p) - 1e-6);
  }
}

}  // namespace
}  // namespace tvl
