#ifndef TVL_MODELS_TOKENIZER_TOKENIZER_H_
#define TVL_MODELS_TOKENIZER_TOKENIZER_H_

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/token.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

struct EncodeOptions {
  bool bos = false;  // put the beginning-of-sequence token in front
  bool eos = false;  // put the end-of-sequence token at the end
  // The text goes on from another: no space that stands for the beginning of a text goes before it.
  bool continues = false;
  // The text of a control or unknown token, such as <|im_end|>, is that token. Without it such text
  // is text like any other, which is what text from outside has to be.
  bool parse_special = false;
};

// Text to tokens and back, by the tokenizer that a .tvl file carries. A view: trivially copyable,
// safe to use from several threads, and valid as long as the mapped file is.
class Tokenizer {
 public:
  // Unimplemented when the tokenizer's kind is not supported; InvalidArgument when the section
  // lacks what its kind needs.
  static absl::StatusOr<Tokenizer> Create(const TokenizerView& view);

  // Appends the tokens of `text`, which may be any bytes. Time O(n log n) in its length. Added
  // tokens and, with parse_special, control ones are found first, the longest one from left to
  // right; what is between them is encoded by itself.
  void Encode(std::string_view text, EncodeOptions options, std::vector<TokenId>* out) const;

  // The same, but no token reaches across a cut: ascending places in `text`.
  void Encode(std::string_view text, std::span<const size_t> cuts, EncodeOptions options,
              std::vector<TokenId>* out) const;

  // The bytes that `token` adds to the text after `previous` (-1 at the start). They point into the
  // file or into a static table; nothing is allocated. Bytes of one character may come from several
  // tokens. Empty for a token outside the vocabulary.
  std::string_view Decode(TokenId previous, TokenId token) const;

  // Whether generation stops at this token.
  bool IsEnd(TokenId token) const;

  // What the model was trained to expect around a text.
  EncodeOptions default_options() const {
    return {.bos = view_.has_flag(kTokenizerAddBos), .eos = view_.has_flag(kTokenizerAddEos)};
  }

  TokenId bos_id() const { return view_.bos_id(); }  // -1: none
  TokenId eos_id() const { return view_.eos_id(); }  // -1: none
  size_t vocab_size() const { return view_.vocab_size(); }
  const TokenizerView& view() const { return view_; }

 private:
  explicit Tokenizer(const TokenizerView& view) : view_(view) {}

  void EncodeStretch(std::string_view text, bool bos, bool begins, std::vector<TokenId>* out) const;

  TokenizerView view_;
};

}  // namespace tvl

#endif  // TVL_MODELS_TOKENIZER_TOKENIZER_H_
