#include "tools/chat/chat_prompt.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/token.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"
#include "tools/chat/chat_template.h"

namespace tvl {
namespace {

// The token that the template means by `marker`; -1 where the vocabulary has none, or has a word
// that looks like it.
TokenId MarkerToken(const TokenizerView& vocabulary, std::string_view marker) {
  const TokenId id = marker.empty() ? -1 : vocabulary.FindPiece(marker);
  if (id < 0) return -1;
  if (vocabulary.has_piece_types()) {
    const PieceType type = vocabulary.piece_type(id);
    if (type == PieceType::kControl || type == PieceType::kUserDefined) return id;
  }
  for (size_t i = 0; i < vocabulary.added_token_count(); ++i) {
    if (vocabulary.added_token(i).id == static_cast<uint32_t>(id)) return id;
  }
  return -1;
}

class Encoder {
 public:
  Encoder(const Tokenizer& tokenizer, ChatTemplate family) : tokenizer_(tokenizer) {
    for (std::string& marker : ChatMarkers(family)) {
      if (MarkerToken(tokenizer.view(), marker) >= 0) markers_.push_back(std::move(marker));
    }
    bos_ = tokenizer.default_options().bos;
    // Some vocabularies take the text of these for the tokens anywhere.
    forgeable_ = markers_;
    AddForgeable(tokenizer.bos_id());
    AddForgeable(tokenizer.eos_id());
    for (size_t i = 0; i < tokenizer.view().end_token_count(); ++i)
      AddForgeable(tokenizer.view().end_token(i));
  }

  void Add(const PromptPart& part) {
    switch (part.kind) {
      case PromptPart::Kind::kText:
        text_ += part.text;
        break;
      case PromptPart::Kind::kMarker:
        if (std::ranges::count(markers_, part.text)) {
          Special(MarkerToken(tokenizer_.view(), part.text));
        } else {
          text_ += part.text;
        }
        break;
      case PromptPart::Kind::kAnswer:
        Flush();
        Begin();
        tokens_.insert(tokens_.end(), part.tokens.begin(), part.tokens.end());
        continues_ = true;
        break;
      case PromptPart::Kind::kBos:
        Special(tokenizer_.bos_id());
        break;
      case PromptPart::Kind::kEos:
        Special(tokenizer_.eos_id());
        break;
    }
  }

  std::vector<TokenId> Take() {
    Flush();
    Begin();
    return std::move(tokens_);
  }

 private:
  void Special(TokenId id) {
    Flush();
    Begin();
    if (id < 0) return;
    tokens_.push_back(id);
    continues_ = false;  // as Tokenizer::Encode has it
  }

  void AddForgeable(TokenId id) {
    const std::string_view piece = tokenizer_.view().piece(id);
    if (!piece.empty() && MarkerToken(tokenizer_.view(), piece) >= 0)
      forgeable_.emplace_back(piece);
  }

  // What stands before a text that does not begin with text.
  void Begin() {
    if (bos_) tokenizer_.Encode("", {.bos = true}, &tokens_);
    bos_ = false;
  }

  // Encodes the text, in pieces that hold none of the forgeable texts whole.
  void Flush() {
    std::string_view rest = text_;
    while (!rest.empty()) {
      size_t cut = rest.size();
      for (const std::string& token : forgeable_) {
        const size_t begin = rest.find(token);
        if (begin != rest.npos) cut = std::min(cut, begin + 1);
      }
      tokenizer_.Encode(rest.substr(0, cut), {.bos = bos_, .continues = continues_}, &tokens_);
      bos_ = false;
      continues_ = true;
      rest.remove_prefix(cut);
    }
    text_.clear();
  }

  const Tokenizer& tokenizer_;
  std::vector<std::string> markers_;    // of the template, those that are tokens
  std::vector<std::string> forgeable_;  // texts that must not become tokens
  std::string text_;                    // not yet encoded
  bool bos_ = false;                    // BOS is to come first
  bool continues_ = false;              // whether the text goes on from another
  std::vector<TokenId> tokens_;
};

}  // namespace

std::vector<TokenId> EncodeChat(const Tokenizer& tokenizer, ChatTemplate family,
                                std::string_view system, std::span<const Exchange> exchanges) {
  Encoder encoder(tokenizer, family);
  for (const PromptPart& part : RenderChat(family, system, exchanges)) encoder.Add(part);
  return encoder.Take();
}

size_t CommonPrefix(std::span<const TokenId> a, std::span<const TokenId> b) {
  return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

ChatVocabulary::ChatVocabulary(const Tokenizer& tokenizer, ChatTemplate family)
    : tokenizer_(tokenizer), end_(MarkerToken(tokenizer.view(), ChatEndMarker(family))) {}

}  // namespace tvl
