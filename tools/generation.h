// The loop that turns a prompt into text.
#ifndef TVL_TOOLS_GENERATION_H_
#define TVL_TOOLS_GENERATION_H_

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/finite.h"
#include "core/sampler.h"
#include "core/token.h"
#include "core/trace.h"
#include "tools/not_finite.h"
#include "tools/units.h"

namespace tvl {

enum class StopReason { kEndToken, kMaxTokens, kContextEnd };

// What tokens say and which of them end a text, as Tokenizer has it.
template <typename V>
concept Vocabulary = requires(const V& vocabulary, TokenId previous, TokenId token) {
  { vocabulary.IsEnd(token) } -> std::same_as<bool>;
  { vocabulary.Decode(previous, token) } -> std::same_as<std::string_view>;
};

struct GenerationStats {
  size_t prompt_tokens = 0;  // that were run
  size_t new_tokens = 0;
  double prefill_seconds = 0;
  // From the start of prefill until the sink has taken the first token's text.
  double first_token_seconds = 0;
  std::vector<float> step_seconds;  // of each token after the first: step, sampling and sink
  // The last new token, if the session has not run it: what is written last need not be read.
  std::optional<TokenId> not_run;
  bool not_finite = false;  // the logits had something that is no number, which was the end

  // Of all steps.
  double decode_seconds() const {
    double seconds = 0;
    for (const float s : step_seconds) seconds += s;
    return seconds;
  }
  // 0 if there were none.
  double decode_rate() const {
    return step_seconds.empty() ? 0 : static_cast<double>(step_seconds.size()) / decode_seconds();
  }
};

// Runs `prompt` through `session`, then samples up to `max_tokens` new tokens and hands the text of
// each to sink(std::string_view), whose error ends generation. The sink is called before and after
// the prompt and between its chunks too, without text, so that it can end that as well. Stops early
// at an end token, whose text is not given, and where the context ends: the logits of its last
// position still give a token. Allocates nothing after the first token. Errors as Session::Prefill;
// DataLoss where the model's logits, as the sampler would get them, are not all finite.
// `stats` holds what has happened, on error too. `steps_before`: tokens drawn in earlier calls for
// this sequence.
template <typename SessionType, Vocabulary V, Sampler S, typename Sink>
absl::StatusOr<StopReason> Generate(SessionType& session, const V& vocabulary,
                                    std::span<const TokenId> prompt, size_t max_tokens, S& sampler,
                                    Sink&& sink, GenerationStats* stats, TraceRing* trace = nullptr,
                                    uint64_t steps_before = 0) {
  *stats = GenerationStats();
  const size_t before = session.position();
  const Stopwatch start;
  const auto ask = [&]() -> absl::Status { return sink(std::string_view()); };
  if (absl::Status s = ask(); !s.ok()) return s;
  const absl::Status prefilled = session.Prefill(prompt, ask);
  stats->prompt_tokens = session.position() - before;
  stats->prefill_seconds = start.seconds();
  if (!prefilled.ok()) return prefilled;
  if (absl::Status s = ask(); !s.ok()) return s;

  const size_t room = std::min(max_tokens, session.context() - session.position() + 1);
  stats->step_seconds.reserve(room);
  std::vector<TokenId> tokens;
  tokens.reserve(session.position() + room);
  tokens.assign(session.tokens().begin(), session.tokens().end());
  Stopwatch since_last;
  while (stats->new_tokens < max_tokens) {
    const auto sample = [&] {
      if (trace != nullptr) {
        trace->SetPosition(session.position());
        trace->Mark();
      }
      const TraceScope traced(trace, TraceOp::kSample);
      return sampler.Sample(session.logits(),
                            {.tokens = tokens, .step = steps_before + stats->new_tokens});
    };
    if (!AllFinite(session.logits())) {
      stats->not_finite = true;
      return NotFiniteError(session.position());
    }
    const TokenId token = sample();
    if (vocabulary.IsEnd(token)) return StopReason::kEndToken;
    const TokenId previous = tokens.empty() ? -1 : tokens.back();
    tokens.push_back(token);
    stats->not_run = token;
    ++stats->new_tokens;
    if (absl::Status s = sink(vocabulary.Decode(previous, token)); !s.ok()) return s;
    if (stats->new_tokens == 1) {
      stats->first_token_seconds = start.seconds();
    } else {
      stats->step_seconds.push_back(static_cast<float>(since_last.seconds()));
    }
    since_last = Stopwatch();
    if (stats->new_tokens == max_tokens) break;
    if (session.position() == session.context()) return StopReason::kContextEnd;
    if (absl::Status s = session.Step(token); !s.ok()) return s;
    stats->not_run.reset();
  }
  return StopReason::kMaxTokens;
}

}  // namespace tvl

#endif  // TVL_TOOLS_GENERATION_H_
