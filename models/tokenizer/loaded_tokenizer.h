#ifndef TVL_MODELS_TOKENIZER_LOADED_TOKENIZER_H_
#define TVL_MODELS_TOKENIZER_LOADED_TOKENIZER_H_

// For tests.

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "core/token.h"
#include "models/tokenizer/llama2c_reference.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

// A section and the tokenizer over it.
class LoadedTokenizer {
 public:
  explicit LoadedTokenizer(const TokenizerData& data)
      : section_(SerializeTokenizer(data)),
        tokenizer_(Tokenizer::Create(*ParseTokenizer(TestBytes(section_)))) {}
  LoadedTokenizer(const LoadedTokenizer&) = delete;

  const Tokenizer& operator*() const { return *tokenizer_; }
  const Tokenizer* operator->() const { return &*tokenizer_; }

  std::vector<TokenId> Encode(std::string_view text, EncodeOptions options = {}) const {
    std::vector<TokenId> tokens;
    tokenizer_->Encode(text, options, &tokens);
    return tokens;
  }

 private:
  std::string section_;
  absl::StatusOr<Tokenizer> tokenizer_;
};

}  // namespace tvl

#endif  // TVL_MODELS_TOKENIZER_LOADED_TOKENIZER_H_
