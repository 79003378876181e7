// What the tests of samplers have in common.
#ifndef TVL_SAMPLERS_SAMPLING_TEST_UTIL_H_
#define TVL_SAMPLERS_SAMPLING_TEST_UTIL_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
#include <vector>

#include "core/sampler.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "tests/support/random.h"

namespace tvl::testing {

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline const float kNaN = std::numeric_limits<float>::quiet_NaN();

using Logits = std::vector<float>;

// Samplers and processors overwrite their logits: each call gets a copy.
template <Sampler S>
TokenId Sample(S&& sampler, Logits logits, uint64_t step = 0) {
  return sampler.Sample(logits, {.tokens = {}, .step = step});
}

template <LogitsProcessor P>
Logits Apply(P&& processor, Logits logits) {
  processor.Apply(logits, {});
  return logits;
}

// The ids that are in the running.
inline std::set<size_t> Running(const Logits& logits) {
  std::set<size_t> ids;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isnan(logits[i]) && logits[i] != -kInf) ids.insert(i);
  }
  return ids;
}

// softmax(logits / temperature) in double precision with the C library's exp, written without a
// look at the samplers. REQUIRES: no logit is +infinity, one is finite.
inline std::vector<double> Softmax(const Logits& logits, double temperature = 1) {
  double max = -kInf;
  for (const float logit : logits) {
    if (static_cast<double>(logit) > max) max = static_cast<double>(logit);
  }
  std::vector<double> p;
  double total = 0;
  for (const float logit : logits) {
    p.push_back(std::isnan(logit) ? 0 : std::exp((static_cast<double>(logit) - max) / temperature));
    total += p.back();
  }
  for (double& x : p) x /= total;
  return p;
}

// Draws at `draws` steps and compares the counts with the probabilities: no draw where there is
// none, and a chi-square below its quantile of 99.99% (Wilson and Hilferty's approximation). The
// draws are the same on every machine, so this passes always or never.
template <Sampler S>
void ExpectDistribution(S& sampler, const Logits& logits, const std::vector<double>& p,
                        size_t draws) {
  std::vector<size_t> counts(logits.size());
  for (uint64_t step = 0; step < draws; ++step) {
    const TokenId id = Sample(sampler, logits, step);
    ASSERT_GE(id, 0);
    ASSERT_LT(static_cast<size_t>(id), logits.size());
    ++counts[static_cast<size_t>(id)];
  }
  // Tokens that are expected less than five times count as one.
  double chi2 = 0, rare_expected = 0, rare_count = 0, degrees = -1;
  const auto add = [&](double count, double expected) {
    chi2 += (count - expected) * (count - expected) / expected;
    degrees += 1;
  };
  for (size_t i = 0; i < p.size(); ++i) {
    const double expected = p[i] * static_cast<double>(draws);
    const double count = static_cast<double>(counts[i]);
    if (p[i] == 0) {
      EXPECT_EQ(counts[i], 0u) << "token " << i << " has no probability";
    } else if (expected < 5) {
      rare_expected += expected;
      rare_count += count;
    } else {
      add(count, expected);
    }
  }
  if (rare_expected > 1) add(rare_count, rare_expected);
  if (degrees < 1) return;
  const double a = 2 / (9 * degrees);
  const double quantile = degrees * std::pow(1 - a + 3.719 * std::sqrt(a), 3);
  EXPECT_LT(chi2, quantile) << degrees << " degrees of freedom";
}

// Vocabularies to try filters on: of one token to many, smooth, with ties and plateaus, steep,
// flat, with NaNs and -infinities.
inline std::vector<Logits> FilterInputs() {
  Random random;
  std::vector<Logits> inputs = {{3},        {1, 2},        {2, 2},           {0.0f, -0.0f, 0.0f},
                                {-0.0f, 0}, {-kInf, 1, 1}, {kNaN, 1, -kInf}, {5, kNaN, 5, 5, -1}};
  for (const size_t n : {3, 7, 64, 333, 2000}) {
    for (const float spread : {0.01f, 1.0f, 4.0f, 30.0f}) {
      for (const int kind : {0, 1, 2, 3}) {
        Logits logits(n);
        for (float& logit : logits) {
          logit = random.Normal() * spread + (kind == 1 ? 100.0f : -3.0f);
          if (kind == 2) logit = std::nearbyint(logit);  // plateaus
          if (kind == 3 && random.Below(5) == 0) logit = random.Below(2) == 0 ? kNaN : -kInf;
        }
        if (Running(logits).empty()) logits[0] = 1;
        inputs.push_back(logits);
      }
    }
  }
  return inputs;
}

}  // namespace tvl::testing

#endif  // TVL_SAMPLERS_SAMPLING_TEST_UTIL_H_
