#include "models/tokenizer/llama2c_codec.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/token.h"
#include "models/tokenizer/byte_text.h"
#include "models/tokenizer/score_bpe.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {
namespace {

constexpr TokenId kFirstByteId = 3;  // after <unk>, <s> and </s>
constexpr size_t kMaxCharacterBytes = 4;

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

void AppendCharacter(const TokenizerView& vocabulary, std::string_view character,
                     std::vector<TokenId>* tokens) {
  const TokenId id = vocabulary.FindPiece(character);
  if (id >= 0) {
    tokens->push_back(id);
  } else if (vocabulary.has_flag(kTokenizerByteFallback)) {
    for (const char c : character) tokens->push_back(static_cast<unsigned char>(c) + kFirstByteId);
  } else if (vocabulary.unk_id() >= 0) {
    tokens->push_back(vocabulary.unk_id());
  }
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The byte that sscanf(piece, "<0x%02hhX>", ...) stores, or -1 where it stores none.
int ScanBytePiece(std::string_view piece) {
  constexpr std::string_view kPrefix = "<0x";
  if (piece.substr(0, kPrefix.size()) != kPrefix) return -1;
  size_t at = kPrefix.size();
  while (at < piece.size() && absl::ascii_isspace(static_cast<unsigned char>(piece[at]))) ++at;
  const size_t end = at + 2;  // the conversion's width
  bool negative = false;
  if (at < piece.size() && (piece[at] == '+' || piece[at] == '-')) negative = piece[at++] == '-';
  int value = -1;
  for (; at < piece.size() && at < end; ++at) {
    const int digit = HexDigit(piece[at]);
    if (digit < 0) break;
    value = (value < 0 ? 0 : value * 16) + digit;
  }
  if (value < 0) return -1;
  return static_cast<uint8_t>(negative ? -value : value);
}

}  // namespace

absl::Status CheckLlama2cTokenizer(const TokenizerView& vocabulary) {
  if (!vocabulary.has_scores()) {
    return absl::InvalidArgumentError(
        "tokenizer section: scores: expected one per piece for a tokenizer of kind 1, found none");
  }
  const size_t needed = kFirstByteId + kByteCount;
  if (vocabulary.has_flag(kTokenizerByteFallback) && vocabulary.vocab_size() < needed) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tokenizer section: vocab_size: expected at least ", needed,
        " for byte fallback in a tokenizer of kind 1, found ", vocabulary.vocab_size()));
  }
  return absl::OkStatus();
}

void EncodeLlama2c(const TokenizerView& vocabulary, std::string_view text, bool bos, bool begins,
                   std::vector<TokenId>* tokens) {
  const size_t first = tokens->size();
  if (bos && vocabulary.bos_id() >= 0) tokens->push_back(vocabulary.bos_id());
  if (begins && !text.empty() && vocabulary.has_flag(kTokenizerDummyPrefix)) {
    const TokenId space = vocabulary.FindPiece(" ");
    if (space >= 0) tokens->push_back(space);
  }
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin + 1;
    while (end < text.size() && end - begin < kMaxCharacterBytes && IsContinuation(text[end])) {
      ++end;
    }
    AppendCharacter(vocabulary, text.substr(begin, end - begin), tokens);
    begin = end;
  }
  MergeByScore(vocabulary, first, tokens);
}

std::string_view DecodeLlama2c(const TokenizerView& vocabulary, TokenId previous, TokenId token) {
  std::string_view piece = vocabulary.piece(token);
  if (piece.empty()) return piece;
  if (previous >= 0 && previous == vocabulary.bos_id() && piece.front() == ' ') {
    piece.remove_prefix(1);
  }
  const int byte = ScanBytePiece(piece);
  if (byte < 0) return piece;
  return ByteText(static_cast<uint8_t>(byte));
}

}  // namespace tvl
