// The chain whose parts everybody's command line has.
#ifndef TVL_SAMPLERS_STANDARD_CHAIN_H_
#define TVL_SAMPLERS_STANDARD_CHAIN_H_

#include <cstdint>

#include "core/sampler.h"
#include "samplers/chain.h"
#include "samplers/draw.h"
#include "samplers/min_p.h"
#include "samplers/temperature.h"
#include "samplers/top_k.h"
#include "samplers/top_p.h"

namespace tvl {

// By default greedy: temperature 0, and no part that removes anything.
struct SamplingOptions {
  uint64_t top_k = 0;     // 0: all
  float top_p = 1;        // 0 to 1; 1: all
  float min_p = 0;        // 0 to 1; 0: all
  float temperature = 0;  // 0 or more, finite
  uint64_t seed = 0;
};

using StandardChain = Chain<TopK, TopP, MinP, Temperature, Draw>;
static_assert(Sampler<StandardChain>);

inline StandardChain MakeStandardChain(const SamplingOptions& options) {
  return StandardChain(TopK(options.top_k), TopP(options.top_p), MinP(options.min_p),
                       Temperature(options.temperature), Draw(options.seed));
}

}  // namespace tvl

#endif  // TVL_SAMPLERS_STANDARD_CHAIN_H_
