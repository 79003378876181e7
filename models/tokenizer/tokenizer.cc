#include "models/tokenizer/tokenizer.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/token.h"
#include "models/tokenizer/llama2c_codec.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

static_assert(std::is_trivially_copyable_v<Tokenizer>);

absl::StatusOr<Tokenizer> Tokenizer::Create(const TokenizerView& view) {
  // A further kind is a further codec and a switch here, in Encode and in Decode.
  if (view.kind() != TokenizerKind::kLlama2c) {
    return absl::UnimplementedError(absl::StrCat(
        "tokenizer section: kind: expected 1 (llama2.c score BPE), the only one that this version "
        "reads, found ",
        static_cast<uint32_t>(view.kind())));
  }
  const absl::Status status = CheckLlama2cTokenizer(view);
  if (!status.ok()) return status;
  return Tokenizer(view);
}

void Tokenizer::Encode(std::string_view text, EncodeOptions options,
                       std::vector<TokenId>* out) const {
  EncodeLlama2c(view_, text, options.bos, out);
  if (options.eos && eos_id() >= 0) out->push_back(eos_id());
}

std::string_view Tokenizer::Decode(TokenId previous, TokenId token) const {
  return DecodeLlama2c(view_, previous, token);
}

bool Tokenizer::IsEnd(TokenId token) const {
  for (size_t i = 0; i < view_.end_token_count(); ++i) {
    if (view_.end_token(i) == token) return true;
  }
  return false;
}

}  // namespace tvl
