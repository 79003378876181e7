// RoPE's inverse frequencies from a GGUF file, with what stretches the context: none, linear, yarn,
// or factors per frequency (Llama 3.1's, as the tensor rope_freqs.weight).
#ifndef TVL_MODELS_IMPORT_GGUF_ROPE_H_
#define TVL_MODELS_IMPORT_GGUF_ROPE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/model_config.h"
#include "models/import/gguf_file.h"

namespace tvl {

// Reads the keys PREFIXrope.* but for dimension_count: sets `config->rope_base`, multiplies
// `config->attention_scale` where yarn does, and fills `inv_freq` (rope_dims / 2). REQUIRES: a
// valid config but for these. InvalidArgument naming the key or the tensor.
//
// Computed in double with our own functions (core/canonical_math.h), rounded once: the same bits on
// every machine. llama.cpp multiplies angles up in f32 and differs in the last bits. Where a key
// means something that llama.cpp does not read for these architectures, a sentence in `notes` says
// so.
absl::Status ReadGgufRope(const GgufFile& file, const std::string& prefix, ModelConfig* config,
                          std::vector<float>* inv_freq, std::vector<std::string>* notes);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_GGUF_ROPE_H_
