#include "models/tokenizer/tokenizer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/token.h"
#include "models/tokenizer/byte_level_codec.h"
#include "models/tokenizer/llama2c_codec.h"
#include "models/tokenizer/sentence_piece_codec.h"
#include "models/tokenizer/special_tokens.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

static_assert(std::is_trivially_copyable_v<Tokenizer>);

namespace {

// The first place from `begin` on that has no ASCII white space.
size_t EndOfSpace(std::string_view text, size_t begin) {
  return std::min(text.find_first_not_of(" \t\n\v\f\r", begin), text.size());
}

}  // namespace

absl::StatusOr<Tokenizer> Tokenizer::Create(const TokenizerView& view) {
  // A further kind is a further codec and a case here, in Encode and in Decode.
  absl::Status status;
  switch (view.kind()) {
    case TokenizerKind::kLlama2c:
      status = CheckLlama2cTokenizer(view);
      break;
    case TokenizerKind::kSentencePieceBpe:
      status = CheckSentencePieceTokenizer(view);
      break;
    case TokenizerKind::kByteLevelBpe:
      status = CheckByteLevelTokenizer(view);
      break;
    default:
      status =
          absl::UnimplementedError(absl::StrCat("tokenizer section: kind: expected 1 (llama2.c "
                                                "score BPE), 2 (SentencePiece BPE) or 3 "
                                                "(byte-level BPE), which are all that this "
                                                "version reads, found ",
                                                static_cast<uint32_t>(view.kind())));
  }
  if (!status.ok()) return status;
  return Tokenizer(view);
}

void Tokenizer::Encode(std::string_view text, EncodeOptions options,
                       std::vector<TokenId>* out) const {
  Encode(text, {}, options, out);
}

void Tokenizer::Encode(std::string_view text, std::span<const size_t> cuts, EncodeOptions options,
                       std::vector<TokenId>* out) const {
  const SpecialTokens specials(view_, options.parse_special);
  bool bos = options.bos;
  bool begins = !options.continues;
  size_t begin = 0;
  for (size_t i = 0; i <= cuts.size(); ++i) {
    const size_t end = i < cuts.size() ? cuts[i] : text.size();
    const std::string_view piece = text.substr(0, end);
    while (const auto match = specials.Find(piece, begin)) {
      EncodeStretch(piece.substr(begin, match->begin - begin), bos, begins, out);
      out->push_back(match->token.id);
      begin = match->begin + match->token.text.size();
      if (match->token.strips_right) begin = EndOfSpace(piece, begin);
      bos = false;
      begins = true;  // after a special token, as llama.cpp has it
    }
    EncodeStretch(piece.substr(begin), bos, begins, out);
    begin = end;
    bos = false;
    begins = false;
  }
  if (options.eos && eos_id() >= 0) out->push_back(eos_id());
}

// What has no special token in it.
void Tokenizer::EncodeStretch(std::string_view text, bool bos, bool begins,
                              std::vector<TokenId>* out) const {
  if (view_.kind() == TokenizerKind::kLlama2c) {
    EncodeLlama2c(view_, text, bos, begins, out);
    return;
  }
  if (bos && bos_id() >= 0) out->push_back(bos_id());
  if (view_.kind() == TokenizerKind::kSentencePieceBpe) {
    EncodeSentencePiece(view_, text, begins, out);
  } else {
    EncodeByteLevel(view_, text, out);
  }
}

std::string_view Tokenizer::Decode(TokenId previous, TokenId token) const {
  switch (view_.kind()) {
    case TokenizerKind::kLlama2c:
      return DecodeLlama2c(view_, previous, token);
    case TokenizerKind::kSentencePieceBpe:
      return DecodeSentencePiece(view_, previous, token);
    case TokenizerKind::kByteLevelBpe:
      return DecodeByteLevel(view_, token);
  }
  return {};
}

bool Tokenizer::IsEnd(TokenId token) const {
  for (size_t i = 0; i < view_.end_token_count(); ++i) {
    if (view_.end_token(i) == token) return true;
  }
  return false;
}

}  // namespace tvl
