#ifndef TVL_MODELS_IMPORT_LLAMA2C_TOKENIZER_H_
#define TVL_MODELS_IMPORT_LLAMA2C_TOKENIZER_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

// Reads a tokenizer.bin of llama2.c: i32 max_token_length, then for each token f32 score, i32
// length and so many bytes, little-endian. The file does not say how many tokens it holds:
// `vocab_size` is the model's, and the file must hold exactly so many.
//
// Ids are llama2.c's: 0 unknown, 1 BOS, 2 EOS, from 3 on the bytes. As in run.c, byte fallback goes
// to byte + 3 whatever these pieces are. A vocabulary of fewer than 259 has no room for that (run.c
// would read outside its table): it is imported without byte fallback, and unknown characters
// become token 0. BOS and EOS both end generation; run.c stops at BOS, and a model trained by it
// may write either.
//
// Errors (InvalidArgument), each one sentence with field, position, expected and found; callers put
// the file's name in front: a file cut short anywhere, a negative length or one above
// max_token_length, a score that is NaN, a NUL in a piece (run.c would cut the piece there), bytes
// after the last token.
absl::StatusOr<TokenizerData> ImportLlama2cTokenizer(std::span<const std::byte> file,
                                                     int64_t vocab_size);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_LLAMA2C_TOKENIZER_H_
