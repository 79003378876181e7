// The hyperparameters of a GGUF file: metadata to a ModelConfig.
#ifndef TVL_MODELS_IMPORT_GGUF_CONFIG_H_
#define TVL_MODELS_IMPORT_GGUF_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/model_config.h"
#include "models/import/gguf_file.h"

namespace tvl {

// What sets an architecture's files apart: a row of the table in gguf_config.cc.
struct GgufArchitecture {
  const char* name;  // general.architecture, and what its keys begin with
  Architecture architecture;
  // What it is if its files say that attention has a window; equal to `architecture` where a window
  // is refused.
  Architecture with_window;
  // What it is if its tensors have biases; equal to `architecture` where it always or never has.
  Architecture with_biases;
  bool interleaved_rope;  // the rows of wq and wk are in RoPE pairs (2i, 2i + 1)

  constexpr bool may_have_window() const { return with_window != architecture; }
};

struct GgufConfig {
  const GgufArchitecture* architecture;
  ModelConfig config;
  std::vector<float> rope_inv_freq;  // (rope_dims / 2)
  std::vector<std::string> notes;    // ModelSource::notes
};

// Reads general.architecture and the keys that begin with its name, and the tensor
// rope_freqs.weight where there is one. The configuration that comes out is valid; whether the
// tensors have its shapes, and whether they have biases, is for others to see. The vocabulary is as
// large as the embedding has rows.
//
// InvalidArgument naming the key, what was expected and found: an architecture that is not in the
// table (all that are, are told), a key that is missing, of another type or out of range, one that
// changes the model in a way that is not known here.
absl::StatusOr<GgufConfig> ReadGgufConfig(const GgufFile& file);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_GGUF_CONFIG_H_
