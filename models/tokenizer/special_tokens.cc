#include "models/tokenizer/special_tokens.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "core/token.h"
#include "models/tokenizer/byte_text.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {
namespace {

uint8_t ByteAt(std::string_view text, size_t i) { return static_cast<uint8_t>(text[i]); }

// llama2.c's files have "\n<s>\n" where the vocabulary says "<s>".
std::string_view WithoutNewlines(std::string_view text) {
  while (text.starts_with('\n')) text.remove_prefix(1);
  while (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

}  // namespace

SpecialTokens::SpecialTokens(const TokenizerView& vocabulary, bool control) {
  const auto add = [&](TokenId id, std::string_view text, bool strips_right = false) {
    if (!text.empty()) tokens_.push_back({text, id, strips_right});
  };
  const auto is_control = [&](TokenId id) {
    return vocabulary.has_piece_types() && IsControl(vocabulary.piece_type(id));
  };
  // Each once: then all their texts are no longer than the file, however often it lists one.
  std::vector<AddedToken> added(vocabulary.added_token_count());
  for (size_t i = 0; i < added.size(); ++i) added[i] = vocabulary.added_token(i);
  std::ranges::sort(added, {}, &AddedToken::id);
  const auto same_id = [](const AddedToken& a, const AddedToken& b) { return a.id == b.id; };
  added.erase(std::unique(added.begin(), added.end(), same_id), added.end());
  for (const AddedToken& token : added) {
    const TokenId id = static_cast<TokenId>(token.id);
    if (control || !is_control(id))
      add(id, vocabulary.piece(id), (token.flags & kAddedTokenStripRight) != 0);
  }
  if (control && vocabulary.has_piece_types()) {
    for (size_t i = 0; i < vocabulary.vocab_size(); ++i) {
      const TokenId id = static_cast<TokenId>(i);
      if (is_control(id)) add(id, vocabulary.piece(id));
    }
  } else if (control) {
    for (const TokenId id : {vocabulary.unk_id(), vocabulary.bos_id(), vocabulary.eos_id()})
      add(id, WithoutNewlines(vocabulary.piece(id)));
  }
  Sort();
}

SpecialTokens::SpecialTokens(std::vector<SpecialToken> tokens) : tokens_(std::move(tokens)) {
  Sort();
}

void SpecialTokens::Sort() {
  std::ranges::sort(tokens_, [](const SpecialToken& a, const SpecialToken& b) {
    if (a.text != b.text) return a.text < b.text;
    return a.id != b.id ? a.id < b.id : a.strips_right > b.strips_right;
  });
  tokens_.erase(
      std::unique(tokens_.begin(), tokens_.end(),
                  [](const SpecialToken& a, const SpecialToken& b) { return a.text == b.text; }),
      tokens_.end());
  for (const SpecialToken& token : tokens_) ++first_[ByteAt(token.text, 0) + 1];
  for (size_t byte = 0; byte < kByteCount; ++byte) first_[byte + 1] += first_[byte];
}

std::optional<SpecialTokens::Match> SpecialTokens::Find(std::string_view text, size_t from) const {
  if (tokens_.empty()) return std::nullopt;
  for (size_t at = from; at < text.size(); ++at) {
    const uint8_t byte = ByteAt(text, at);
    if (first_[byte] == first_[byte + 1]) continue;
    const std::optional<SpecialToken> token = LongestAt(text.substr(at));
    if (token) return Match{at, *token};
  }
  return std::nullopt;
}

// Of those that agree with the text's first `length` bytes the one of that length comes first.
std::optional<SpecialToken> SpecialTokens::LongestAt(std::string_view text) const {
  std::optional<SpecialToken> longest;
  auto begin = tokens_.begin() + first_[ByteAt(text, 0)];
  auto end = tokens_.begin() + first_[ByteAt(text, 0) + 1];
  for (size_t length = 1; begin != end; ++length) {
    if (begin->text.size() == length) longest = *begin++;
    if (length == text.size()) break;
    const uint8_t next = ByteAt(text, length);
    const auto byte = [&](const SpecialToken& token) { return ByteAt(token.text, length); };
    begin = std::ranges::lower_bound(begin, end, next, {}, byte);
    end = std::ranges::upper_bound(begin, end, next, {}, byte);
  }
  return longest;
}

}  // namespace tvl
