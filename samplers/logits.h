// What samplers and logits processors have in common.
#ifndef TVL_SAMPLERS_LOGITS_H_
#define TVL_SAMPLERS_LOGITS_H_

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

namespace tvl {

// The logit of a token that is out of the running (core/sampler.h). Its probability is 0.
inline constexpr float kRemoved = -std::numeric_limits<float>::infinity();

// Not of a removed token, and not of a NaN.
inline bool InTheRunning(float logit) { return logit > kRemoved; }

// The id with the largest logit. The lowest id wins a tie, a NaN never wins, and where nothing is
// in the running it is 0. REQUIRES: logits are not empty.
inline size_t ArgMax(std::span<const float> logits) {
  size_t best = 0;
  float max = kRemoved;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > max) {
      max = logits[i];
      best = i;
    }
  }
  return best;
}

// Whether softmax is defined: `max` is the logit of ArgMax. An infinite one minus itself is no
// number.
inline bool HasSoftmax(float max) { return std::fabs(max) <= std::numeric_limits<float>::max(); }

}  // namespace tvl

#endif  // TVL_SAMPLERS_LOGITS_H_
