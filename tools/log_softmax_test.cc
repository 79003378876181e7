#include "tools/log_softmax.h"

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

namespace tvl {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// Neither sorted nor symmetric, of any spread.
std::vector<float> Logits(size_t n, float spread, unsigned seed) {
  std::vector<float> logits(n);
  for (float& logit : logits) {
    seed = seed * 1103515245u + 12345u;
    logit = spread * (static_cast<float>(seed >> 8) * 0x1p-24f - 0.5f);
  }
  return logits;
}

long double ExactLogSum(const std::vector<float>& logits) {
  long double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<long double>(logit));
  return std::log(sum);
}

TEST(LogSumExpTest, AgreesWithLongDouble) {
  for (const size_t n : {1, 2, 7, 8, 9, 15, 16, 17, 63, 1000, 32000}) {
    for (const float spread : {0.0f, 1.0f, 40.0f, 400.0f}) {
      const std::vector<float> logits = Logits(n, spread, 1);
      const double exact = static_cast<double>(ExactLogSum(logits));
      EXPECT_NEAR(LogSumExp(logits), exact, 1e-15 * (20 + std::abs(exact))) << n << " " << spread;
    }
  }
}

TEST(LogSumExpTest, LargeLogitsAndExcludedOnes) {
  EXPECT_EQ(LogSumExp(std::vector<float>{1e30f, -1e30f}), static_cast<double>(1e30f));
  EXPECT_EQ(LogSumExp(std::vector<float>{-kInf, 2.0f, -kInf}), 2.0);
  EXPECT_EQ(LogSumExp(std::vector<float>{-5000.0f}), -5000.0);
}

TEST(LogSumExpTest, WhatIsNoDistributionIsNaN) {
  const std::vector<float> none[] = {{kNaN},
                                     {1, kNaN, 2},
                                     {kInf, 1},
                                     {-kInf},
                                     {-kInf, -kInf},
                                     {kNaN, -kInf},
                                     {1, 2, 3, 4, 5, 6, 7, 8, kNaN}};
  for (const std::vector<float>& logits : none) EXPECT_TRUE(std::isnan(LogSumExp(logits)));
}

double Divergence(const std::vector<float>& p, const std::vector<float>& q) {
  return KlDivergence(p, LogSumExp(p), q, LogSumExp(q));
}

TEST(KlDivergenceTest, AgreesWithLongDouble) {
  for (const size_t n : {1, 2, 7, 8, 9, 100, 32000}) {
    const std::vector<float> p = Logits(n, 20, 1), q = Logits(n, 20, 2);
    const long double p_sum = ExactLogSum(p), q_sum = ExactLogSum(q);
    long double exact = 0;
    for (size_t i = 0; i < n; ++i) {
      const long double log_p = p[i] - p_sum;
      exact += std::exp(log_p) * (log_p - (q[i] - q_sum));
    }
    EXPECT_NEAR(Divergence(p, q), static_cast<double>(exact), 1e-13) << n;
    EXPECT_GE(Divergence(p, q), n == 1 ? 0 : 1e-3) << n;
    EXPECT_EQ(Divergence(p, p), 0) << n;
  }
}

TEST(KlDivergenceTest, ExcludedTokens) {
  const std::vector<float> all = {0, 0}, one = {0, -kInf};
  EXPECT_NEAR(Divergence(one, all), std::log(2), 1e-15);
  EXPECT_EQ(Divergence(all, one), std::numeric_limits<double>::infinity());
  EXPECT_EQ(Divergence(one, one), 0);
}

}  // namespace
}  // namespace tvl
