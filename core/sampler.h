// The Sampler concept: from logits to the next token. LogitsProcessor: a step on the way.
#ifndef TVL_CORE_SAMPLER_H_
#define TVL_CORE_SAMPLER_H_

#include <concepts>
#include <cstdint>
#include <span>

#include "core/token.h"

namespace tvl {

// What a sampler may know of the sequence so far.
struct SampleContext {
  std::span<const TokenId> tokens;  // prompt and generated tokens, oldest first; may be empty
  uint64_t step = 0;                // how many tokens have been generated; keys the random numbers
};

// Sample picks the next token. It may reorder or overwrite `logits` (vocab_size). It allocates
// nothing after the first call. Ties go to the lowest id. The same seed, step and logits give the
// same token on every machine: random numbers come from core/philox.h, exponentials from
// core/canonical_math.h.
template <typename S>
concept Sampler = requires(S sampler, std::span<float> logits, const SampleContext& context,
                           uint64_t seed) {
  { sampler.Sample(logits, context) } -> std::same_as<TokenId>;
  { sampler.Reset(seed) } -> std::same_as<void>;
};

// Apply changes what the next token is picked from, in place: logits[id] (vocab_size) is the logit
// of token `id`, before and after. A token is taken out of the running by setting its logit to
// -infinity; a NaN is out of the running too. Apply leaves at least one token in the running if
// there was one, and keeps the rules of Sample: no allocation after the first call, ties to the
// lowest id, the same result on every machine. One that draws random numbers also has Reset(seed).
template <typename P>
concept LogitsProcessor = requires(P processor, std::span<float> logits,
                                   const SampleContext& context) {
  { processor.Apply(logits, context) } -> std::same_as<void>;
};

// Strategies that need several sequences or hidden states (beam search, contrastive and speculative
// decoding) drive a session themselves: Decode feeds tokens through `session` and returns how many
// it has committed to `out`.
template <typename D, typename Session>
concept Decoder = requires(D decoder, Session& session, std::span<const TokenId> prompt,
                           std::span<TokenId> out) {
  { decoder.Decode(session, prompt, out) } -> std::same_as<size_t>;
};

}  // namespace tvl

#endif  // TVL_CORE_SAMPLER_H_
