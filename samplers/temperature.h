// A token drawn from softmax(logits / temperature).
#ifndef TVL_SAMPLERS_TEMPERATURE_H_
#define TVL_SAMPLERS_TEMPERATURE_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "core/canonical_math.h"
#include "core/philox.h"
#include "core/sampler.h"
#include "core/token.h"
#include "samplers/greedy.h"

namespace tvl {

// The draw depends on the seed, the step and the logits alone. Probabilities are summed in order of
// id in double, so that a vocabulary of any size leaves the tail its due. Temperature 0 is greedy.
class Temperature {
 public:
  // REQUIRES: temperature >= 0 and finite.
  explicit Temperature(float temperature, uint64_t seed = 0)
      : temperature_(temperature), seed_(seed) {}

  // Overwrites `logits` with unnormalised probabilities.
  TokenId Sample(std::span<float> logits, const SampleContext& context) const {
    if (temperature_ == 0) return Greedy().Sample(logits);
    const TokenId best = Greedy().Sample(logits);
    const float max = logits[static_cast<size_t>(best)];
    // Infinity minus itself is no number: an infinite logit is certain, as it is to Greedy.
    if (!(std::fabs(max) <= std::numeric_limits<float>::max())) return best;
    double total = 0;
    for (float& logit : logits) {
      logit = Exp((logit - max) / temperature_);
      // A NaN (from a NaN logit, or infinities) has no probability.
      if (!(logit >= 0)) logit = 0;
      total += static_cast<double>(logit);
    }
    const double target = static_cast<double>(UniformFloat(seed_, context.step)) * total;
    double sum = 0;
    size_t last = 0;  // the last token with any probability, should rounding leave `sum` short
    for (size_t i = 0; i < logits.size(); ++i) {
      if (logits[i] == 0) continue;
      sum += static_cast<double>(logits[i]);
      last = i;
      if (sum > target) break;
    }
    return static_cast<TokenId>(last);
  }

  void Reset(uint64_t seed) { seed_ = seed; }

 private:
  float temperature_;
  uint64_t seed_;
};

static_assert(Sampler<Temperature>);

}  // namespace tvl

#endif  // TVL_SAMPLERS_TEMPERATURE_H_
