// Which keys of a GGUF file's metadata change the model, and at which values they do not.
//
// Three sorts of keys begin with the architecture's name: those that the importer reads, which
// mean what README.md beside this file says; those of other models' parts, which may be there at
// values that switch the part off; and keys that nobody here knows.
#ifndef TVL_MODELS_IMPORT_GGUF_KEYS_H_
#define TVL_MODELS_IMPORT_GGUF_KEYS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "models/import/gguf_metadata.h"

namespace tvl {

// Goes through the keys that begin with `prefix`, an architecture's name and a point.
// InvalidArgument naming the key, the values that it may have and the one that was found, for one
// that would change the model in a way that is not known here. A text under a key that nobody knows
// changes no computation: it is left out, and a sentence says so in `notes`.
//
// `may_have_window`: attention.sliding_window is read.
absl::Status CheckGgufKeys(const GgufMetadata& metadata, const std::string& prefix,
                           bool may_have_window, std::vector<std::string>* notes);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_GGUF_KEYS_H_
