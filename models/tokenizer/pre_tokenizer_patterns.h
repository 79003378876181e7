#ifndef TVL_MODELS_TOKENIZER_PRE_TOKENIZER_PATTERNS_H_
#define TVL_MODELS_TOKENIZER_PRE_TOKENIZER_PATTERNS_H_

#include <string>
#include <vector>

#include "models/tokenizer/pre_tokenizer.h"

namespace tvl {

// The regular expressions of a pre-tokenizer, in the order in which they are applied, as PCRE2 has
// them with PCRE2_UTF and PCRE2_UCP. Every one takes time that is linear in the text's length.
std::vector<std::string> PreTokenizerPatterns(PreTokenizer pre_tokenizer);

}  // namespace tvl

#endif  // TVL_MODELS_TOKENIZER_PRE_TOKENIZER_PATTERNS_H_
