// The most likely token.
#ifndef TVL_SAMPLERS_GREEDY_H_
#define TVL_SAMPLERS_GREEDY_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "core/sampler.h"
#include "core/token.h"

namespace tvl {

// Argmax; the lowest id wins a tie, and a NaN never wins.
struct Greedy {
  TokenId Sample(std::span<float> logits, const SampleContext& = {}) const {
    size_t best = 0;
    float max = -std::numeric_limits<float>::infinity();
    for (size_t i = 0; i < logits.size(); ++i) {
      if (logits[i] > max) {
        max = logits[i];
        best = i;
      }
    }
    return static_cast<TokenId>(best);
  }
  void Reset(uint64_t) {}
};

static_assert(Sampler<Greedy>);

}  // namespace tvl

#endif  // TVL_SAMPLERS_GREEDY_H_
