// The tokenizer in a GGUF file's metadata.
#ifndef TVL_MODELS_IMPORT_GGUF_TOKENIZER_H_
#define TVL_MODELS_IMPORT_GGUF_TOKENIZER_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "models/import/gguf_metadata.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

// Reads the keys tokenizer.ggml.* where the model is `llama`, SentencePiece's BPE, or `gpt2`,
// byte-level BPE (gguf_byte_level.h): tokens, token_type, scores or merges, the special ids and the
// flags, and tokenizer.chat_template. In the former U+2581 in a piece becomes the space that it
// stands for, except in a control token. Generation ends at the tokens eos, eot and eom, and at
// control tokens whose text is known to end a turn.
//
// InvalidArgument naming the key, what was expected and found: another model, keys that are missing
// or of another type, counts other than `vocab_size`, scores that are NaN, kinds that are not
// known, ids beyond the vocabulary, merges that are none. Callers prefix the file's name.
absl::StatusOr<TokenizerData> ImportGgufTokenizer(const GgufMetadata& metadata,
                                                  uint32_t vocab_size);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_GGUF_TOKENIZER_H_
