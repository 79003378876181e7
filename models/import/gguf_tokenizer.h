// The tokenizer in a GGUF file's metadata.
#ifndef TVL_MODELS_IMPORT_GGUF_TOKENIZER_H_
#define TVL_MODELS_IMPORT_GGUF_TOKENIZER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/import/gguf_metadata.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

// Reads the keys tokenizer.ggml.* where the model is `llama`, SentencePiece's BPE, or `gpt2`,
// byte-level BPE (gguf_byte_level.h): tokens, token_type, scores or merges, the special ids
// (gguf_special_tokens.h) and the flags, and tokenizer.chat_template. In the former U+2581 in a
// piece becomes the space that it stands for, except in a control token, which is found in a text
// as it is spelt. So are user-defined tokens; one that is spelt with U+2581 is none, but what
// merges make, as it is to SentencePiece and llama.cpp.
//
// Of models named Phi-3 (general.name) special tokens but <unk>, <s> and <|endoftext|> take the
// white space behind them along, as their publisher's tokenizer and llama.cpp have it. The key
// suppress_tokens is left out, with a note.
//
// What absence means, as in llama.cpp: no scores, all pieces are equal; no types, or type 0, tokens
// are normal, save the special ids and SentencePiece's bytes, which are known by their names; no
// pre-tokenizer, the default one; no ids, the defaults of gguf_special_tokens.h; no flags, BOS in
// front and a dummy prefix for SentencePiece, and for byte-level BPE what the pre-tokenizer's
// models have; no chat template, none.
//
// `notes`, unless null, is appended a sentence for each thing in the file that was left out or
// taken otherwise than the file says; each begins with "metadata key" and the key.
//
// InvalidArgument naming the key, what was expected and found: another model, tokens that are
// missing or of another type, counts other than `vocab_size`, scores that are NaN, types that are
// not known, a pre-tokenizer that is not known. Callers prefix the file's name.
absl::StatusOr<TokenizerData> ImportGgufTokenizer(const GgufMetadata& metadata, uint32_t vocab_size,
                                                  std::vector<std::string>* notes);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_GGUF_TOKENIZER_H_
