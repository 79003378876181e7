#include "models/tokenizer/byte_level_codec.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/token.h"
#include "models/tokenizer/byte_text.h"
#include "models/tokenizer/pair_merger.h"
#include "models/tokenizer/pre_tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {
namespace {

// The token that text can become by its bytes, or -1.
TokenId FindText(const TokenizerView& vocabulary, std::string_view text) {
  const TokenId id = vocabulary.FindPiece(text);
  if (id < 0) return -1;
  return !vocabulary.has_piece_types() || IsMergedText(vocabulary.piece_type(id)) ? id : -1;
}

// Slots hold runs of a word's bytes, single ones at first; two become what the merge table says. A
// run's number is a token's or, from vocab_size on, that of bytes that are no piece.
class MergeRule {
 public:
  explicit MergeRule(const TokenizerView& vocabulary) : vocabulary_(vocabulary) {}

  struct Run {
    TokenId id;
    uint32_t bytes;
  };
  std::vector<Run>& runs() { return runs_; }

  PairMerge Find(size_t left, size_t right) const {
    const int64_t rank = vocabulary_.FindMerge(runs_[left].id, runs_[right].id);
    if (rank < 0) return {};
    const uint32_t result = vocabulary_.merge(static_cast<size_t>(rank)).result;
    if (result > INT32_MAX) return {};  // only in a damaged file
    return {static_cast<TokenId>(result), UINT32_MAX - static_cast<uint32_t>(rank)};
  }

  void Apply(size_t left, size_t right, TokenId id) {
    runs_[left] = {id, runs_[left].bytes + runs_[right].bytes};
  }

 private:
  const TokenizerView& vocabulary_;
  std::vector<Run> runs_;
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
    std::vector<MergeRule::Run>& runs = rule_.runs();
    runs.clear();
    for (const char c : word) runs.push_back({NumberOf(static_cast<uint8_t>(c)), 1});
    merger_.Run(runs.size());
    // The merger keeps the first slot of each run, which is its first byte's place.
    merger_.ForEach([&](size_t slot) { Emit(runs[slot].id, word.substr(slot, runs[slot].bytes)); });
  }

 private:
  static constexpr TokenId kNotLookedUp = -2;

  TokenId TokenOf(uint8_t byte) {
    TokenId& token = byte_tokens_[byte];
    if (token == kNotLookedUp) token = FindText(vocabulary_, ByteText(byte));
    return token;
  }
  // A token, or what merges call a byte that is none.
  TokenId NumberOf(uint8_t byte) {
    const TokenId token = TokenOf(byte);
    return token >= 0 ? token : static_cast<TokenId>(vocabulary_.vocab_size() + byte);
  }

  // What merges have made that is no piece falls apart. llama.cpp then looks for a token of each
  // byte of the letters that it writes for bytes: ASCII's, which are their own letters, have one.
  void Emit(TokenId id, std::string_view bytes) {
    if (vocabulary_.IsValid(id)) {
      out_.push_back(id);
      return;
    }
    for (const char c : bytes) {
      const TokenId token = c > ' ' && c < '\x7F' ? TokenOf(static_cast<uint8_t>(c)) : -1;
      if (token >= 0) out_.push_back(token);
    }
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
  const absl::Status pre_tokenizer = CheckPreTokenizer(vocabulary.pre_tokenizer());
  if (!pre_tokenizer.ok())
    return absl::Status(pre_tokenizer.code(), absl::StrCat(kSection, pre_tokenizer.message()));
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
  if (!vocabulary.IsValid(token)) return {};
  if (vocabulary.has_piece_types() && IsControl(vocabulary.piece_type(token))) return {};
  return vocabulary.piece(token);
}

}  // namespace tvl
