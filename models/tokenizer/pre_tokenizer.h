#ifndef TVL_MODELS_TOKENIZER_PRE_TOKENIZER_H_
#define TVL_MODELS_TOKENIZER_PRE_TOKENIZER_H_

// How byte-level BPE cuts a text into words before merging (models/TVL_FORMAT.md,
// "Pre-tokenizers").

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace tvl {

// The numbers are the file's. To add one: a line here, its expressions (pre_tokenizer_patterns.cc),
// the names that GGUF files have for it (models/import/gguf_byte_level.cc), a line in
// models/TVL_FORMAT.md; and for the test, which asks for every number, the source's own expressions
// in tests/tokenizer/make_word_splits.py, which makes word_splits.txt.
enum class PreTokenizer : uint32_t {
  kNone = 0,
  kGpt2 = 1,
  kDefault = 2,  // of files that do not say theirs
  kLlama3 = 3,
  kQwen2 = 4,
  kStarCoder = 5,  // SmolLM's too
  kDeepSeekLlm = 6,
  kDeepSeekCoder = 7,
  kFalcon = 8,
  kDeepSeek3 = 9,
  kTekken = 10,
  kGpt4o = 11,
  kSeedCoder = 12,
  kBailing = 13,
  kBloom = 14,
  kViking = 15,
  kSuperBpe = 16,
  kQwen35 = 17,
  kTinyAya = 18,
  kAfmoe = 19,
  kExaoneMoe = 20,
  kYoutu = 21,
  kMiniCpm5 = 22,
  kUfakzeka = 23,
  kLaguna = 24,
  kSpark = 25,
  kKimiK2 = 26,
};
inline constexpr uint32_t kPreTokenizerCount = 27;

// Whether SplitWords can do it; its expressions are compiled then, once for all threads.
absl::Status CheckPreTokenizer(uint32_t number);

// Appends the words of `text`, which follow each other without a gap and hold all of its bytes.
// What no expression matches is a word too, and so is each run of bytes that are not well-formed
// UTF-8; what is between such runs is cut by itself. Time is linear in the text's length. REQUIRES:
// CheckPreTokenizer(number).ok()
void SplitWords(uint32_t number, std::string_view text, std::vector<std::string_view>* words);

}  // namespace tvl

#endif  // TVL_MODELS_TOKENIZER_PRE_TOKENIZER_H_
