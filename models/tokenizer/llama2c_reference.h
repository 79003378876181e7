#ifndef TVL_MODELS_TOKENIZER_LLAMA2C_REFERENCE_H_
#define TVL_MODELS_TOKENIZER_LLAMA2C_REFERENCE_H_

// For tests: llama2.c's encoding as the shortest correct loops, O(n^2) and more, and the
// vocabularies that tests share.

#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/token.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

// Keeps its own table, so that it shares nothing with the code it checks.
class Llama2cReference {
 public:
  explicit Llama2cReference(const TokenizerData& data)
      : pieces_(data.pieces), scores_(data.scores) {
    for (size_t i = pieces_.size(); i-- > 0;) ids_[pieces_[i]] = static_cast<TokenId>(i);
  }

  std::vector<TokenId> Encode(std::string_view text, bool bos, bool eos) const {
    std::vector<TokenId> tokens;
    if (bos) tokens.push_back(1);
    if (!text.empty() && Find(" ") >= 0) tokens.push_back(Find(" "));
    std::string buffer;
    for (size_t i = 0; i < text.size(); ++i) {
      if ((text[i] & 0xC0) != 0x80) buffer.clear();
      buffer += text[i];
      const bool more = i + 1 < text.size() && (text[i + 1] & 0xC0) == 0x80;
      if (more && buffer.size() < 4) continue;
      if (Find(buffer) >= 0) {
        tokens.push_back(Find(buffer));
      } else if (pieces_.size() >= 259) {
        for (const char c : buffer) tokens.push_back(static_cast<uint8_t>(c) + 3);
      } else {
        tokens.push_back(0);
      }
      buffer.clear();
    }
    while (MergeBest(&tokens)) continue;
    if (eos) tokens.push_back(2);
    return tokens;
  }

 private:
  TokenId Find(const std::string& piece) const {
    const auto found = ids_.find(piece);
    return found == ids_.end() ? -1 : found->second;
  }

  bool MergeBest(std::vector<TokenId>* tokens) const {
    float best_score = -1e10f;
    TokenId best_id = -1;
    size_t best_at = 0;
    for (size_t i = 0; i + 1 < tokens->size(); ++i) {
      const TokenId id = Find(pieces_[(*tokens)[i]] + pieces_[(*tokens)[i + 1]]);
      if (id < 0 || !(scores_[id] > best_score)) continue;
      best_score = scores_[id];
      best_id = id;
      best_at = i;
    }
    if (best_id < 0) return false;
    (*tokens)[best_at] = best_id;
    tokens->erase(tokens->begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
    return true;
  }

  std::vector<std::string> pieces_;
  std::vector<float> scores_;
  std::map<std::string, TokenId> ids_;
};

inline std::span<const std::byte> TestBytes(std::string_view bytes) {
  return std::as_bytes(std::span<const char>(bytes.data(), bytes.size()));
}

// <unk>, BOS, EOS and the 256 byte pieces, then `extra` with their scores.
inline TokenizerData Llama2cVocabulary(const std::vector<std::pair<std::string, float>>& extra) {
  TokenizerData data;
  data.flags = kTokenizerDummyPrefix | kTokenizerByteFallback | kTokenizerAddBos;
  data.unk_id = 0;
  data.bos_id = 1;
  data.eos_id = 2;
  data.end_tokens = {1, 2};
  data.pieces = {"<unk>", "\n<s>\n", "\n</s>\n"};
  for (int b = 0; b < 256; ++b) data.pieces.push_back(absl::StrFormat("<0x%02X>", b));
  data.scores.assign(data.pieces.size(), 0.0f);
  for (const auto& [piece, score] : extra) {
    data.pieces.push_back(piece);
    data.scores.push_back(score);
  }
  return data;
}

// Random pieces over `alphabet` (a list of strings to concatenate): short ones, many alike and many
// duplicates, with few different scores so that ties abound.
inline TokenizerData RandomVocabulary(std::mt19937& random,
                                      const std::vector<std::string>& alphabet, int count,
                                      int longest) {
  const float kScores[] = {0.0f, -0.0f, 1.0f, -1.0f, -2.0f, -2.5f, -1e10f, -2e10f, -1e9f};
  std::vector<std::pair<std::string, float>> extra;
  for (const std::string& letter : alphabet) {
    if (random() % 4 != 0) extra.emplace_back(letter, kScores[random() % 9]);
  }
  for (int i = 0; i < count; ++i) {
    std::string piece;
    const int length = 1 + static_cast<int>(random() % static_cast<unsigned>(longest));
    for (int k = 0; k < length; ++k) piece += alphabet[random() % alphabet.size()];
    extra.emplace_back(piece, kScores[random() % 9]);
  }
  return Llama2cVocabulary(extra);
}

// The UTF-8 of a random code point of 1 to 4 bytes, each length as likely.
inline std::string RandomCharacter(std::mt19937& random) {
  const uint32_t kLimits[] = {1, 0x80, 0x800, 0x10000, 0x110000};
  const uint32_t bytes = 1 + random() % 4;
  const uint32_t code = kLimits[bytes - 1] + random() % (kLimits[bytes] - kLimits[bytes - 1]);
  if (bytes == 1) return std::string(1, static_cast<char>(code));
  std::string utf8;
  for (uint32_t i = bytes; i-- > 0;) {
    const uint32_t bits = (code >> (6 * i)) & 0x3F;
    const uint32_t lead = (0xF00u >> bytes) & 0xFF;  // 110..., 1110... or 11110...
    utf8 += static_cast<char>(i + 1 == bytes ? (lead | (code >> (6 * i))) : (0x80 | bits));
  }
  return utf8;
}

// Up to `longest` bytes of any value but NUL.
inline std::string RandomBytes(std::mt19937& random, unsigned longest) {
  std::string text(random() % (longest + 1), ' ');
  for (char& c : text) c = static_cast<char>(1 + random() % 255);
  return text;
}

// Up to `longest` elements of `alphabet`.
inline std::string RandomText(std::mt19937& random, const std::vector<std::string>& alphabet,
                              unsigned longest) {
  std::string text;
  for (unsigned n = random() % (longest + 1); n > 0; --n)
    text += alphabet[random() % alphabet.size()];
  return text;
}

}  // namespace tvl

#endif  // TVL_MODELS_TOKENIZER_LLAMA2C_REFERENCE_H_
