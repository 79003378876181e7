// GGUF files to a model.
#ifndef TVL_MODELS_IMPORT_GGUF_H_
#define TVL_MODELS_IMPORT_GGUF_H_

#include "absl/status/statusor.h"
#include "models/import/gguf_file.h"
#include "models/model_source.h"

namespace tvl {

// A ModelSource that points into the file's bytes, for the architectures in gguf_config.cc. Weights
// are decoded row by row when they are asked for; what TakeGgufBlock can take over goes into the
// file block by block. Costs no pass over the weights, but over the norms.
//
// Matrices that a converter wrote as one tensor (attn_qkv, ffn_gate_up) become slices of it. Biases
// that a file lacks are zeros, and biases of nothing but zeros are left out where the architecture
// has none.
//
// InvalidArgument naming the key or the tensor, what was expected and found: what ReadGgufConfig
// says; a tensor that is missing, of another shape than the metadata says, or that this version has
// no use for (further norms, experts), since without it the model would give other answers. Callers
// prefix the file's name.
absl::StatusOr<ModelSource> ImportGguf(const GgufFile& file);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_GGUF_H_
