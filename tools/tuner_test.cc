#include "tools/tuner.h"

#include <cstddef>
#include <vector>

#include "gtest/gtest.h"

namespace tvl {
namespace {

std::vector<size_t> Threads(const std::vector<TuneCandidate>& candidates) {
  std::vector<size_t> threads;
  threads.reserve(candidates.size());
  for (const TuneCandidate& c : candidates) threads.push_back(c.tuning.threads);
  return threads;
}

TEST(TuneCandidatesTest, AllOfAFewCoresAndSomeOfMany) {
  EXPECT_EQ(Threads(TuneCandidates(1, false)), (std::vector<size_t>{1}));
  EXPECT_EQ(Threads(TuneCandidates(3, true)), (std::vector<size_t>{1, 1, 2, 2, 3, 3}));
  EXPECT_FALSE(TuneCandidates(3, true)[0].tuning.pin);
  EXPECT_TRUE(TuneCandidates(3, true)[1].tuning.pin);
  const std::vector<size_t> many = Threads(TuneCandidates(128, false));
  EXPECT_EQ(many[15], 16u);
  EXPECT_EQ(many[16], 18u);
  EXPECT_EQ(many.back(), 128u);
  EXPECT_LT(many.size(), 40u);
}

TEST(BestCandidateTest, TheSimplestThatIsNearlyTheFastest) {
  std::vector<TuneCandidate> candidates = TuneCandidates(2, true);
  const double medians[] = {50, 52, 99, 100};
  for (size_t i = 0; i < 4; ++i) candidates[i].rates = {1000, medians[i], 1};
  EXPECT_EQ(&BestCandidate(candidates), &candidates[2]);
  candidates[3].rates = {102, 102, 102};
  EXPECT_EQ(&BestCandidate(candidates), &candidates[3]);
  candidates[0].rates = {101, 101, 101};
  EXPECT_EQ(&BestCandidate(candidates), &candidates[0]);
}

}  // namespace
}  // namespace tvl
