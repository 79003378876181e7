#include "tools/chat/chat_prompt.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/token.h"
#include "models/tokenizer/special_tokens.h"
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

// The texts that would become tokens also where they are words: those of the template and of the
// ends of texts, where they are of types that text can become. Control tokens are not, in the kinds
// that have types.
SpecialTokens Forgeable(const Tokenizer& tokenizer, std::span<const std::string> markers) {
  const TokenizerView& vocabulary = tokenizer.view();
  std::vector<bool> added(vocabulary.vocab_size());
  for (size_t i = 0; i < vocabulary.added_token_count(); ++i) {
    const size_t id = vocabulary.added_token(i).id;
    if (id < added.size()) added[id] = true;
  }
  std::vector<SpecialToken> tokens;
  const auto add = [&](TokenId id) {
    if (!vocabulary.IsValid(id) || vocabulary.piece(id).empty()) return;
    const PieceType type =
        vocabulary.has_piece_types() ? vocabulary.piece_type(id) : PieceType::kNormal;
    if (added[static_cast<size_t>(id)] || type == PieceType::kUserDefined ||
        (type == PieceType::kControl && vocabulary.kind() == TokenizerKind::kLlama2c))
      tokens.push_back({vocabulary.piece(id), id});
  };
  for (const std::string& marker : markers) add(MarkerToken(vocabulary, marker));
  add(tokenizer.bos_id());
  add(tokenizer.eos_id());
  for (size_t i = 0; i < vocabulary.end_token_count(); ++i) add(vocabulary.end_token(i));
  return SpecialTokens(std::move(tokens));
}

std::vector<std::string> MarkersThatAreTokens(const Tokenizer& tokenizer,
                                              const ChatLayout& layout) {
  std::vector<std::string> markers = ChatMarkers(layout);
  std::erase_if(markers, [&](const std::string& marker) {
    return MarkerToken(tokenizer.view(), marker) < 0;
  });
  return markers;
}

class Encoder {
 public:
  Encoder(const Tokenizer& tokenizer, const ChatLayout& layout)
      : tokenizer_(tokenizer),
        markers_(MarkersThatAreTokens(tokenizer, layout)),
        forgeable_(Forgeable(tokenizer, markers_)),
        bos_(tokenizer.default_options().bos || (layout.writes_bos && tokenizer.bos_id() >= 0)) {}

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

  // What stands before a text that does not begin with text.
  void Begin() {
    if (bos_) tokenizer_.Encode("", {.bos = true}, &tokens_);
    bos_ = false;
  }

  // Encodes the text, cut within each of the forgeable texts.
  void Flush() {
    if (text_.empty()) return;
    std::vector<size_t> cuts;
    for (auto match = forgeable_.Find(text_, 0); match; match = forgeable_.Find(text_, cuts.back()))
      cuts.push_back(match->begin + 1);
    tokenizer_.Encode(text_, cuts, {.bos = bos_, .continues = continues_}, &tokens_);
    bos_ = false;
    continues_ = true;
    text_.clear();
  }

  const Tokenizer& tokenizer_;
  const std::vector<std::string> markers_;  // of the template, those that are tokens
  const SpecialTokens forgeable_;           // texts that must not become tokens
  std::string text_;                        // not yet encoded
  bool bos_;                                // BOS is to come first
  bool continues_ = false;                  // whether the text goes on from another
  std::vector<TokenId> tokens_;
};

}  // namespace

std::vector<TokenId> EncodeChat(const Tokenizer& tokenizer, const ChatLayout& layout,
                                std::string_view system, std::span<const Exchange> exchanges) {
  Encoder encoder(tokenizer, layout);
  for (const PromptPart& part : RenderChat(layout, system, exchanges)) encoder.Add(part);
  return encoder.Take();
}

size_t CommonPrefix(std::span<const TokenId> a, std::span<const TokenId> b) {
  return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

ChatVocabulary::ChatVocabulary(const Tokenizer& tokenizer, ChatTemplate family)
    : tokenizer_(tokenizer),
      end_(MarkerToken(tokenizer.view(), ChatEndMarker(family))),
      lacks_end_marker_(end_ < 0 && !ChatEndMarker(family).empty()) {}

}  // namespace tvl
