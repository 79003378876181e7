#ifndef TVL_MODELS_TOKENIZER_LLAMA2C_CODEC_H_
#define TVL_MODELS_TOKENIZER_LLAMA2C_CODEC_H_

// Tokenizer kind 1: what encode() and decode() of llama2.c's run.c do, on any bytes.

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "core/token.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

// Whether the section has what this kind needs: scores; a whole set of byte pieces if it falls back
// to them.
absl::Status CheckLlama2cTokenizer(const TokenizerView& vocabulary);

// Appends the tokens of `text`. A piece " " goes in front of text that is not empty. A character is
// a byte that is no UTF-8 continuation byte with up to three that follow it; stray continuation
// bytes make characters of up to four. Each becomes its piece or, byte by byte, the ids byte + 3;
// without byte fallback it becomes the unknown token. Then MergeByScore, BOS included, as run.c
// does.
void EncodeLlama2c(const TokenizerView& vocabulary, std::string_view text, bool bos, bool begins,
                   std::vector<TokenId>* tokens);

// The bytes that `token` stands for after `previous` (-1: none). One space at the front is dropped
// after BOS. A piece that starts "<0x" and one or two hexadecimal digits is that byte, with the
// freedom that scanf's "<0x%02hhX>" gives: white space or, as one of the two characters, a sign may
// stand before the digits, and what follows them is not looked at ("<0x4>" and "<0x04 etc" are byte
// 4). Byte 0 is one byte, where run.c's C strings lose it.
std::string_view DecodeLlama2c(const TokenizerView& vocabulary, TokenId previous, TokenId token);

}  // namespace tvl

#endif  // TVL_MODELS_TOKENIZER_LLAMA2C_CODEC_H_
