// The tokens in a GGUF file's metadata that are more than text: beginnings, ends, and what a file's
// types say otherwise.
#ifndef TVL_MODELS_IMPORT_GGUF_SPECIAL_TOKENS_H_
#define TVL_MODELS_IMPORT_GGUF_SPECIAL_TOKENS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "models/import/gguf_metadata.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {

// Reads the keys tokenizer.ggml.*_token_id, makes control tokens of those that are known by their
// text, and lists the tokens at which generation ends. The pieces have to be the file's tokens as
// they are spelt there, with their types, and the chat template has to be there already.
//
// What absence means is llama.cpp's (src/llama-vocab.cpp of version 0.5.0, September 2026), and an
// id that is no token of the vocabulary counts as absent, 4294967295 and -1 too, which a note says:
//   - SentencePiece: unknown 0, bos 1, eos 2; byte-level BPE: bos and eos 11, but only if that is a
//     control token, as in Falcon's vocabulary, which the number is from (llama.cpp takes any
//     token). No default is beyond the vocabulary. The other ids: none.
//   - no types: of the file's own ids the unknown token is of that type, bos and eos are control
//     tokens. (To llama.cpp they are normal.)
//
// Generation ends at eos, eot, eom, at those that eos_token_ids lists, and the three of
// fill-in-the-middle that llama.cpp counts (padding, repository, separator of files), by id; and at
// tokens of well-known text, whatever their type. These, and the others of fill-in-the-middle, are
// control tokens then, so that no text of a user's becomes one, even where merges make it, which
// llama.cpp does not see to. So are tokens that open a turn if they are normal ones and the chat
// template spells them: it could not otherwise become what the model was trained with. A note says
// so of each. User-defined tokens stay what they are, and text becomes them.
//
// InvalidArgument naming the key: ids that are no integers.
absl::Status ReadGgufSpecialTokens(const GgufMetadata& metadata, TokenizerData* data,
                                   std::vector<std::string>* notes);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_GGUF_SPECIAL_TOKENS_H_
