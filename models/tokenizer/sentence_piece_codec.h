#ifndef TVL_MODELS_TOKENIZER_SENTENCE_PIECE_CODEC_H_
#define TVL_MODELS_TOKENIZER_SENTENCE_PIECE_CODEC_H_

// Tokenizer kind 2: SentencePiece's BPE (models/TVL_FORMAT.md, "Kind 2 in full").

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/token.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

// "<0x0A>" for 10: the piece that stands for the byte.
std::string BytePieceName(uint8_t byte);

// Whether the section has what this kind needs: scores and types; a whole set of byte pieces if it
// falls back to them.
absl::Status CheckSentencePieceTokenizer(const TokenizerView& vocabulary);

// Appends the tokens of `text`, without BOS. O(n log n) in its length. REQUIRES: a vocabulary that
// has passed the check.
//
// Text never becomes a control token here, whatever it says; llama.cpp takes a piece of any type. A
// byte that begins no well-formed UTF-8 character is a character by itself.
void EncodeSentencePiece(const TokenizerView& vocabulary, std::string_view text, bool begins,
                         std::vector<TokenId>* tokens);

// The bytes that `token` stands for after `previous` (-1: none).
std::string_view DecodeSentencePiece(const TokenizerView& vocabulary, TokenId previous,
                                     TokenId token);

}  // namespace tvl

#endif  // TVL_MODELS_TOKENIZER_SENTENCE_PIECE_CODEC_H_
