// The tokenizer in a GGUF file's metadata.
#ifndef TVL_MODELS_IMPORT_GGUF_TOKENIZER_H_
#define TVL_MODELS_IMPORT_GGUF_TOKENIZER_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "models/import/gguf_metadata.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

// Reads the keys tokenizer.ggml.* where the model is `llama`, SentencePiece's BPE: tokens, scores,
// token_type, the special ids and the flags, and tokenizer.chat_template. U+2581 in a piece becomes
// the space that it stands for. Generation ends at the tokens eos, eot and eom.
//
// InvalidArgument naming the key, what was expected and found: another model than `llama`, keys
// that are missing or of another type, counts other than `vocab_size`, scores that are NaN, kinds
// that are not known, ids beyond the vocabulary. Callers prefix the file's name.
absl::StatusOr<TokenizerData> ImportGgufTokenizer(const GgufMetadata& metadata,
                                                  uint32_t vocab_size);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_GGUF_TOKENIZER_H_
