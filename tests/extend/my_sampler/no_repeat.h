// A sampler of another workspace.
#ifndef MY_SAMPLER_NO_REPEAT_H_
#define MY_SAMPLER_NO_REPEAT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

#include "core/sampler.h"
#include "core/token.h"

// Picks as `Next` does, but never a token that would repeat a run of `length` tokens.
template <tvl::Sampler Next>
class NoRepeat {
 public:
  // REQUIRES: length > 0.
  explicit NoRepeat(size_t length, Next next = {}) : length_(length), next_(std::move(next)) {}

  tvl::TokenId Sample(std::span<float> logits, const tvl::SampleContext& context) {
    const std::span<const tvl::TokenId> past = context.tokens;
    for (size_t end = length_; end <= past.size(); ++end) {
      const auto run = past.subspan(end - length_, length_ - 1);
      if (std::ranges::equal(run, past.last(length_ - 1))) {
        logits[static_cast<size_t>(past[end - 1])] = -std::numeric_limits<float>::infinity();
      }
    }
    return next_.Sample(logits, context);
  }
  void Reset(uint64_t seed) { next_.Reset(seed); }

 private:
  size_t length_;
  Next next_;
};

#endif  // MY_SAMPLER_NO_REPEAT_H_
