// Logits divided by a temperature: below 1 the likely tokens become likelier.
#ifndef TVL_SAMPLERS_TEMPERATURE_H_
#define TVL_SAMPLERS_TEMPERATURE_H_

#include <cstddef>
#include <span>

#include "core/sampler.h"
#include "samplers/logits.h"

namespace tvl {

// Each logit becomes (logit - max) / temperature: taking the maximum off first keeps small
// temperatures from overflowing. Temperature 0 leaves the best token alone, of several equal ones
// the lowest id. Where the maximum is infinite nothing changes.
class Temperature {
 public:
  // REQUIRES: temperature >= 0 and finite.
  explicit Temperature(float temperature) : temperature_(temperature) {}

  void Apply(std::span<float> logits, const SampleContext&) const {
    const size_t best = ArgMax(logits);
    const float max = logits[best];
    if (!HasSoftmax(max)) return;
    if (temperature_ == 0) {
      for (float& logit : logits) logit = kRemoved;
      logits[best] = 0;
    } else {
      for (float& logit : logits) logit = (logit - max) / temperature_;
    }
  }

 private:
  float temperature_;
};

static_assert(LogitsProcessor<Temperature>);

}  // namespace tvl

#endif  // TVL_SAMPLERS_TEMPERATURE_H_
