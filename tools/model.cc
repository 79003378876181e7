#include "tools/model.h"

#include "absl/strings/str_cat.h"
#include "tools/units.h"

namespace tvl {

absl::StatusOr<Tokenizer> OpenTokenizer(const TvlReader& reader) {
  if (!reader.has_tokenizer()) {
    return absl::FailedPreconditionError(
        absl::StrCat(reader.name(), ": the file carries no tokenizer"));
  }
  absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Create(reader.tokenizer());
  if (tokenizer.ok()) return tokenizer;
  return absl::Status(tokenizer.status().code(),
                      absl::StrCat(reader.name(), ": ", tokenizer.status().message()));
}

std::vector<TokenId> EncodePrompt(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<TokenId> tokens;
  const bool bos = tokenizer.default_options().bos || text.empty();
  tokenizer.Encode(text, {.bos = bos && tokenizer.bos_id() >= 0, .eos = false}, &tokens);
  return tokens;
}

absl::Status CheckContext(uint64_t asked, const TvlReader& reader) {
  const uint32_t trained = reader.config().context_length;
  if (asked <= trained) return absl::OkStatus();
  return absl::OutOfRangeError(absl::StrCat(reader.name(),
                                            ": --context: expected at most the model's ", trained,
                                            " positions, found ", asked));
}

absl::Status CheckFits(size_t prompt_tokens, size_t context, size_t trained) {
  if (prompt_tokens == 0)
    return absl::InvalidArgumentError(
        "the prompt is empty, and this model has no token to begin with");
  if (prompt_tokens <= context) return absl::OkStatus();
  std::string remedy = "shorten it";
  if (prompt_tokens <= trained) {
    absl::StrAppend(&remedy, ", or use --context ", prompt_tokens, " or more, of the model's ",
                    trained);
  } else if (context < trained) {
    absl::StrAppend(&remedy, "; the model's own ", trained, " are too few as well");
  }
  return absl::OutOfRangeError(absl::StrCat("the prompt of ", FormatTokens(prompt_tokens),
                                            " does not fit the context of ", context,
                                            context == 1 ? " position; " : " positions; ", remedy));
}

absl::Status CheckFitsWith(size_t more, size_t prompt_tokens, size_t trained) {
  if (absl::Status s = CheckFits(prompt_tokens, trained, trained); !s.ok()) return s;
  if (more <= trained - prompt_tokens) return absl::OkStatus();
  return absl::OutOfRangeError(absl::StrCat("the prompt of ", FormatTokens(prompt_tokens), " and ",
                                            more, " more do not fit the context of ", trained,
                                            trained == 1 ? " position" : " positions"));
}

}  // namespace tvl
