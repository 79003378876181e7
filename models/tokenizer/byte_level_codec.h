#ifndef TVL_MODELS_TOKENIZER_BYTE_LEVEL_CODEC_H_
#define TVL_MODELS_TOKENIZER_BYTE_LEVEL_CODEC_H_

// Tokenizer kind 3: byte-level BPE (models/TVL_FORMAT.md, "Kind 3 in full").

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/token.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

// Whether the section has what this kind needs: a pre-tokenizer that is known, whose expressions
// are compiled then.
absl::Status CheckByteLevelTokenizer(const TokenizerView& vocabulary);

// Appends the tokens of `text`, without BOS. O(n log n) in its length. A byte without a token gives
// none: as in llama.cpp nothing becomes the unknown token, which StarCoder's files say is
// <|endoftext|>. REQUIRES: a vocabulary that has passed the check.
void EncodeByteLevel(const TokenizerView& vocabulary, std::string_view text,
                     std::vector<TokenId>* tokens);

// The bytes that `token` stands for: its piece, or nothing for a control or unknown token.
std::string_view DecodeByteLevel(const TokenizerView& vocabulary, TokenId token);

}  // namespace tvl

#endif  // TVL_MODELS_TOKENIZER_BYTE_LEVEL_CODEC_H_
