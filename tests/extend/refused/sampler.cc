#include "core/sampler.h"

#include <cstdint>
#include <span>

#include "core/token.h"

struct MySampler {
  tvl::TokenId Sample(std::span<float> logits, const tvl::SampleContext& context);
#ifndef MISSING
  void Reset(uint64_t seed);
#endif
};

static_assert(tvl::Sampler<MySampler>);
