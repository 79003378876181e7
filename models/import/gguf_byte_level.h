// Byte-level BPE in a GGUF file's metadata: what GPT-2's way of writing bytes, merges and
// pre-tokenizers become in a .tvl file.
#ifndef TVL_MODELS_IMPORT_GGUF_BYTE_LEVEL_H_
#define TVL_MODELS_IMPORT_GGUF_BYTE_LEVEL_H_

#include "absl/status/status.h"
#include "models/import/gguf_metadata.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

// Turns pieces, which are the file's tokens so far, into the bytes that they stand for, reads
// tokenizer.ggml.merges and tokenizer.ggml.pre, and sets the flags that follow from the latter.
// The types have to be there already, if the file has them. Control, unknown and user-defined
// tokens are text as it is; so is a token with a character that stands for no byte.
//
// InvalidArgument naming the key: merges that are missing, none, not two tokens with a space
// between, or of or to what is not in the vocabulary; a pre-tokenizer that is not known.
absl::Status ReadGgufByteLevel(const GgufMetadata& metadata, TokenizerData* data);

// Whether every text has tokens: each byte is a token, or there is an unknown one. The special ids
// have to be there already. InvalidArgument naming the byte.
absl::Status CheckGgufBytes(const TokenizerData& data);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_GGUF_BYTE_LEVEL_H_
