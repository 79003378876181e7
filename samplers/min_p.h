// Min-p sampling (Nguyen et al., "Turning up the heat: min-p sampling for creative and coherent LLM
// outputs", ICLR 2025).
#ifndef TVL_SAMPLERS_MIN_P_H_
#define TVL_SAMPLERS_MIN_P_H_

#include <span>

#include "core/canonical_math.h"
#include "core/sampler.h"
#include "samplers/logits.h"

namespace tvl {

// Keeps the tokens that are at least min_p times as likely as the likeliest: those with
// Exp(logit - max) >= min_p. 0 keeps all. Where the largest logit is infinite nothing changes.
class MinP {
 public:
  // REQUIRES: 0 <= min_p <= 1.
  explicit MinP(float min_p) : min_p_(min_p) {}

  void Apply(std::span<float> logits, const SampleContext&) const {
    if (min_p_ == 0) return;
    const float max = logits[ArgMax(logits)];
    if (!HasSoftmax(max)) return;
    for (float& logit : logits) {
      if (!(Exp(logit - max) >= min_p_)) logit = kRemoved;
    }
  }

 private:
  float min_p_;
};

static_assert(LogitsProcessor<MinP>);

}  // namespace tvl

#endif  // TVL_SAMPLERS_MIN_P_H_
