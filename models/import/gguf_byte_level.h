// Byte-level BPE in a GGUF file's metadata: what GPT-2's way of writing bytes, merges and
// pre-tokenizers become in a .tvl file.
#ifndef TVL_MODELS_IMPORT_GGUF_BYTE_LEVEL_H_
#define TVL_MODELS_IMPORT_GGUF_BYTE_LEVEL_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "models/import/gguf_metadata.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

// Turns pieces, which are the file's tokens so far, into the bytes that they stand for, reads
// tokenizer.ggml.merges and tokenizer.ggml.pre, and sets the flags that follow from the latter.
// Types and added tokens have to be there already. Control, unknown and user-defined tokens are
// text as it is. So is a normal token with a character that stands for no byte: no text becomes it,
// since llama.cpp looks for letters of bytes alone, and it gets the type of a user-defined one
// without being an added token, so that it does not hide the token of the same bytes.
//
// Merges are of texts, as in llama.cpp, whether they are tokens or not: what they make that is no
// token can be merged further, or falls apart at the end (TVL_FORMAT.md, "Kind 3 in full"). Left
// out, with a note that counts them, are lines that are no merge ("#version: 0.2", empty ones),
// merges of what never comes about, and those of or to a control token, which text must not become.
//
// InvalidArgument naming the key: merges that are missing or no strings; a pre-tokenizer that is
// not known.
absl::Status ReadGgufByteLevel(const GgufMetadata& metadata, TokenizerData* data,
                               std::vector<std::string>* notes);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_GGUF_BYTE_LEVEL_H_
