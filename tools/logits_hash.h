// One number for all logits of a run, equal on every machine.
#ifndef TVL_TOOLS_LOGITS_HASH_H_
#define TVL_TOOLS_LOGITS_HASH_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/kernel.h"
#include "core/token.h"
#include "models/checksum.h"
#include "models/engine.h"
#include "samplers/greedy.h"
#include "tools/model.h"

namespace tvl {

// XXH3-64, seed 0, over the numeric contract's version (u32) and the logits that are added, as the
// little-endian bits of their f32 values. What the contract holds equal gets equal bits: -0 counts
// as +0, every NaN as 0x7fc00000.
class LogitsHash {
 public:
  LogitsHash();

  void Add(std::span<const float> logits);
  uint64_t digest() const { return stream_.Digest(); }

 private:
  Xxh3Stream stream_;
};

struct FingerprintOptions {
  std::string prompt = "Once upon a time";
  uint64_t tokens = 64;  // greedy steps; end tokens do not stop them
  uint64_t prefill_chunk = SessionOptions().prefill_chunk;
  KvType kv_type = SessionOptions().kv_type;
};

// The hash of the logits of every position: those of the prompt, then those of `tokens` steps, each
// of which runs the most likely token. OutOfRange if they do not fit the model's context.
// progress(done, total) is called after each step.
template <Kernel K, typename Progress>
absl::StatusOr<uint64_t> Fingerprint(Engine<K>& engine, const FingerprintOptions& options,
                                     Progress&& progress) {
  absl::StatusOr<Tokenizer> tokenizer = OpenTokenizer(engine.reader());
  if (!tokenizer.ok()) return tokenizer.status();
  const std::vector<TokenId> prompt = EncodePrompt(*tokenizer, options.prompt);
  if (absl::Status s =
          CheckFitsWith(options.tokens, prompt.size(), engine.reader().config().context_length);
      !s.ok())
    return s;
  auto session = engine.NewSession({.context = prompt.size() + options.tokens,
                                    .prefill_chunk = options.prefill_chunk,
                                    .kv_type = options.kv_type,
                                    .all_logits = true});
  if (!session.ok()) return session.status();
  LogitsHash hash;
  if (absl::Status s =
          session->PrefillAll(prompt, [&](std::span<const float> logits) { hash.Add(logits); });
      !s.ok()) {
    return s;
  }
  for (uint64_t i = 0; i < options.tokens; ++i) {
    if (absl::Status s = session->Step(Greedy().Sample(session->logits())); !s.ok()) return s;
    hash.Add(session->logits());
    progress(i + 1, options.tokens);
  }
  return hash.digest();
}

}  // namespace tvl

#endif  // TVL_TOOLS_LOGITS_HASH_H_
