// Nucleus sampling (Holtzman et al., "The curious case of neural text degeneration", ICLR 2020).
#ifndef TVL_SAMPLERS_TOP_P_H_
#define TVL_SAMPLERS_TOP_P_H_

#include <algorithm>
#include <cstdint>
#include <span>

#include "core/canonical_math.h"
#include "core/sampler.h"
#include "samplers/keep_prefix.h"
#include "samplers/logits.h"

namespace tvl {

// Keeps the fewest most likely tokens whose probabilities add up to p: the shortest prefix, ordered
// by logit and then by id, whose mass is at least p times the mass of all in the running. At least
// one token; 1 keeps all. Where the largest logit is infinite nothing changes.
//
// The mass of a token is floor(2^40 * Exp(logit - max)), so that sums are exact and the cut depends
// on no order of adding. p times the whole mass is one product in double.
class TopP {
 public:
  // REQUIRES: 0 <= p <= 1.
  explicit TopP(float p) : p_(p) {}

  // REQUIRES: fewer than 2^24 logits.
  void Apply(std::span<float> logits, const SampleContext&) const {
    if (p_ >= 1) return;
    const float max = logits[ArgMax(logits)];
    if (!HasSoftmax(max)) return;
    const auto mass = [max](float logit) {
      return static_cast<uint64_t>(Exp(logit - max) * 0x1p40f);
    };
    uint64_t total = 0;
    for (const float logit : logits) total += InTheRunning(logit) ? mass(logit) : 0;
    const double target = static_cast<double>(p_) * static_cast<double>(total);
    uint64_t need = static_cast<uint64_t>(target);
    if (static_cast<double>(need) < target) ++need;
    KeepPrefix(logits, std::max<uint64_t>(need, 1), mass);
  }

 private:
  float p_;
};

static_assert(LogitsProcessor<TopP>);

}  // namespace tvl

#endif  // TVL_SAMPLERS_TOP_P_H_
