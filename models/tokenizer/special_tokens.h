// The tokens that are found in a text as a whole, before what is between them is encoded.
#ifndef TVL_MODELS_TOKENIZER_SPECIAL_TOKENS_H_
#define TVL_MODELS_TOKENIZER_SPECIAL_TOKENS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/token.h"
#include "models/tokenizer/byte_text.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

struct SpecialToken {
  std::string_view text;
  TokenId id;
  bool strips_right = false;  // the white space after it goes with it
};

// Finds the texts of a vocabulary's added tokens and, where asked for, of its control and unknown
// ones, which may be listed among the former for the sake of their flags. Points into the
// vocabulary. Building it takes a pass over the piece types if control tokens are asked for;
// finding looks only at tokens that agree with the text so far, by binary search.
class SpecialTokens {
 public:
  SpecialTokens(const TokenizerView& vocabulary, bool control);
  // Finds these, none of which is empty.
  explicit SpecialTokens(std::vector<SpecialToken> tokens);

  struct Match {
    size_t begin;  // where the token's text stands
    SpecialToken token;
  };
  // The first place at or after `from` where a token's text stands, and the longest one there, as
  // in published tokenizers. (llama.cpp takes the longest of the whole text first, which is another
  // where texts of tokens overlap.)
  std::optional<Match> Find(std::string_view text, size_t from) const;

 private:
  void Sort();
  std::optional<SpecialToken> LongestAt(std::string_view text) const;

  std::vector<SpecialToken> tokens_;                 // by text; none is empty, none equals another
  std::array<uint32_t, kByteCount + 1> first_ = {};  // those that begin with byte b: [b], [b + 1]
};

}  // namespace tvl

#endif  // TVL_MODELS_TOKENIZER_SPECIAL_TOKENS_H_
