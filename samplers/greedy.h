// The most likely token.
#ifndef TVL_SAMPLERS_GREEDY_H_
#define TVL_SAMPLERS_GREEDY_H_

#include <cstdint>
#include <span>

#include "core/sampler.h"
#include "core/token.h"
#include "samplers/logits.h"

namespace tvl {

// The lowest id wins a tie, and a NaN never wins. Token 0 where nothing is in the running.
struct Greedy {
  TokenId Sample(std::span<float> logits, const SampleContext& = {}) const {
    return static_cast<TokenId>(ArgMax(logits));
  }
  void Reset(uint64_t) {}
};

static_assert(Sampler<Greedy>);

}  // namespace tvl

#endif  // TVL_SAMPLERS_GREEDY_H_
