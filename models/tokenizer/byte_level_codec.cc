#include "models/tokenizer/byte_level_codec.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/token.h"
#include "models/tokenizer/byte_text.h"
#include "models/tokenizer/pair_merger.h"
#include "models/tokenizer/pre_tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {
namespace {

bool IsControl(const TokenizerView& vocabulary, TokenId id) {
  return vocabulary.has_piece_types() && IsControl(vocabulary.piece_type(id));
}

// The token that text can become, or -1.
TokenId FindText(const TokenizerView& vocabulary, std::string_view text) {
  const TokenId id = vocabulary.FindPiece(text);
  return id >= 0 && !IsControl(vocabulary, id) ? id : -1;
}

// Slots hold tokens, bytes at first; two become what the merge table says.
class MergeRule {
 public:
  explicit MergeRule(const TokenizerView& vocabulary) : vocabulary_(vocabulary) {}

  std::vector<TokenId>& tokens() { return tokens_; }

  PairMerge Find(size_t left, size_t right) const {
    const int64_t rank = vocabulary_.FindMerge(tokens_[left], tokens_[right]);
    if (rank < 0) return {};
    const uint32_t result = vocabulary_.merge(static_cast<size_t>(rank)).result;
    if (result >= vocabulary_.vocab_size()) return {};  // only in a damaged file
    return {static_cast<TokenId>(result), UINT32_MAX - static_cast<uint32_t>(rank)};
  }

  void Apply(size_t left, size_t, TokenId id) { tokens_[left] = id; }

 private:
  const TokenizerView& vocabulary_;
  std::vector<TokenId> tokens_;
};

// Encodes words, one after the other.
class WordEncoder {
 public:
  WordEncoder(const TokenizerView& vocabulary, std::vector<TokenId>* tokens)
      : vocabulary_(vocabulary), out_(*tokens), rule_(vocabulary), merger_(&rule_) {
    byte_tokens_.fill(kNotLookedUp);
  }

  void Encode(std::string_view word) {
    if (vocabulary_.has_flag(kTokenizerWholePieceFirst)) {
      const TokenId whole = FindText(vocabulary_, word);
      if (whole >= 0) {
        out_.push_back(whole);
        return;
      }
    }
    std::vector<TokenId>& tokens = rule_.tokens();
    tokens.clear();
    for (const char c : word) tokens.push_back(TokenOf(static_cast<uint8_t>(c)));
    merger_.Run(tokens.size());
    merger_.ForEach([&](size_t slot) { out_.push_back(tokens[slot]); });
  }

 private:
  static constexpr TokenId kNotLookedUp = -2;

  // A byte without a piece is unknown; the check has seen to it that there is such a token then.
  TokenId TokenOf(uint8_t byte) {
    TokenId& token = byte_tokens_[byte];
    if (token == kNotLookedUp) {
      token = FindText(vocabulary_, ByteText(byte));
      if (token < 0) token = vocabulary_.unk_id();
    }
    return token;
  }

  const TokenizerView& vocabulary_;
  std::vector<TokenId>& out_;
  MergeRule rule_;
  PairMerger<MergeRule> merger_;
  std::array<TokenId, kByteCount> byte_tokens_;
};

}  // namespace

absl::Status CheckByteLevelTokenizer(const TokenizerView& vocabulary) {
  constexpr char kSection[] = "tokenizer section: ";
  constexpr uint32_t kFlags = kTokenizerAddBos | kTokenizerAddEos | kTokenizerWholePieceFirst;
  if ((vocabulary.flags() & ~kFlags) != 0) {
    return absl::UnimplementedError(absl::StrCat(kSection, "flags: expected no bits but ", kFlags,
                                                 " for a tokenizer of kind 3, found ",
                                                 vocabulary.flags()));
  }
  if (vocabulary.merge_count() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(kSection, "merges: expected some for a tokenizer of kind 3, found none"));
  }
  const absl::Status pre_tokenizer = CheckPreTokenizer(vocabulary.pre_tokenizer());
  if (!pre_tokenizer.ok())
    return absl::Status(pre_tokenizer.code(), absl::StrCat(kSection, pre_tokenizer.message()));
  for (size_t byte = 0; byte < kByteCount && vocabulary.unk_id() < 0; ++byte) {
    if (FindText(vocabulary, ByteText(static_cast<uint8_t>(byte))) >= 0) continue;
    return absl::InvalidArgumentError(absl::StrFormat(
        "%spieces: expected one for every byte, or unk_id, for a tokenizer of kind 3, found none "
        "for byte 0x%02X",
        kSection, byte));
  }
  return absl::OkStatus();
}

void EncodeByteLevel(const TokenizerView& vocabulary, std::string_view text,
                     std::vector<TokenId>* tokens) {
  if (text.empty()) return;
  std::vector<std::string_view> words;
  SplitWords(vocabulary.pre_tokenizer(), text, &words);
  WordEncoder encoder(vocabulary, tokens);
  for (const std::string_view word : words) encoder.Encode(word);
}

std::string_view DecodeByteLevel(const TokenizerView& vocabulary, TokenId token) {
  if (!vocabulary.IsValid(token) || IsControl(vocabulary, token)) return {};
  return vocabulary.piece(token);
}

}  // namespace tvl
