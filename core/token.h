#ifndef TVL_CORE_TOKEN_H_
#define TVL_CORE_TOKEN_H_

#include <cstdint>

namespace tvl {

// Index of a piece in a model's vocabulary, in [0, vocab_size). Negative values mean "no token".
// Signed and 32 bits wide as in every file format that tokenizers come from.
using TokenId = int32_t;

}  // namespace tvl

#endif  // TVL_CORE_TOKEN_H_
