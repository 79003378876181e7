// The k most likely tokens.
#ifndef TVL_SAMPLERS_TOP_K_H_
#define TVL_SAMPLERS_TOP_K_H_

#include <cstdint>
#include <span>

#include "core/sampler.h"
#include "samplers/keep_prefix.h"

namespace tvl {

// Keeps the k tokens with the largest logits, exactly k where there are as many: at the cut, too,
// the lowest ids of equal ones. 0 keeps all.
class TopK {
 public:
  explicit TopK(uint64_t k) : k_(k) {}

  void Apply(std::span<float> logits, const SampleContext&) const {
    if (k_ == 0 || k_ >= logits.size()) return;
    KeepPrefix(logits, k_, [](float) { return uint64_t{1}; });
  }

 private:
  uint64_t k_;
};

static_assert(LogitsProcessor<TopK>);

}  // namespace tvl

#endif  // TVL_SAMPLERS_TOP_K_H_
