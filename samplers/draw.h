// A token drawn from the softmax of its logits.
#ifndef TVL_SAMPLERS_DRAW_H_
#define TVL_SAMPLERS_DRAW_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/canonical_math.h"
#include "core/philox.h"
#include "core/sampler.h"
#include "core/token.h"
#include "samplers/logits.h"

namespace tvl {

// The draw depends on the seed, the step and the logits alone. With u = UniformFloat(seed, step),
// it is the first token, in order of id, where the sum of e = Exp(logit - max) up to and with it
// exceeds u times the sum of all. The sums are in double, so that a vocabulary of any size leaves
// the tail its due.
//
// A logit of +infinity is certain; the lowest id wins among several. Token 0 where nothing is in
// the running.
class Draw {
 public:
  explicit Draw(uint64_t seed) : seed_(seed) {}

  // Overwrites `logits` with unnormalised probabilities.
  TokenId Sample(std::span<float> logits, const SampleContext& context) const {
    const size_t best = ArgMax(logits);
    const float max = logits[best];
    if (!HasSoftmax(max)) return static_cast<TokenId>(best);
    double total = 0;
    for (float& logit : logits) {
      logit = InTheRunning(logit) ? Exp(logit - max) : 0.0f;
      total += static_cast<double>(logit);
    }
    const double target = static_cast<double>(UniformFloat(seed_, context.step)) * total;
    double sum = 0;
    size_t id = best;
    for (size_t i = 0; i < logits.size(); ++i) {
      if (logits[i] == 0) continue;
      sum += static_cast<double>(logits[i]);
      id = i;
      if (sum > target) break;
    }
    return static_cast<TokenId>(id);
  }

  void Reset(uint64_t seed) { seed_ = seed; }

 private:
  uint64_t seed_;
};

static_assert(Sampler<Draw>);

}  // namespace tvl

#endif  // TVL_SAMPLERS_DRAW_H_
