// What sets the architectures apart, as traits of one forward pass (models/llama.h).
#ifndef TVL_CORE_ARCHITECTURE_H_
#define TVL_CORE_ARCHITECTURE_H_

#include <cstdint>

namespace tvl {

// Values are stored in files: never renumber.
enum class Architecture : uint32_t {
  kLlama = 1,
  kMistral = 2,
  kQwen2 = 3,
  kQwen3 = 4,
  kLlamaBias = 5,
};

// Each flag marks something that Llama lacks. A template argument of the forward pass, so that what
// an architecture lacks is not even asked for.
struct ArchitectureTraits {
  Architecture id = Architecture::kLlama;
  char name[16] = {};
  bool sliding_window =
      false;  // a position attends to the last ModelConfig::sliding_window, itself included
  bool qkv_bias = false;     // queries, keys and values have biases
  bool output_bias = false;  // and so have what attention gives out, gate, up and down
  bool qk_norm = false;      // heads of queries and keys are normed before RoPE turns them
};

// All that there are. To add one that has no new trait is to add a number above, a line here, one
// to the importer's table (models/import/gguf_config.cc) and one to models/TVL_FORMAT.md. A new
// trait needs a field, and its use in the forward pass (models/llama.h); where it brings a
// hyperparameter, also in ModelConfig and ReadShapes (gguf_config.cc), and where it brings tensors,
// in LayerView (core/model_view.h), LayerSource (models/model_source.h), ListTensors
// (models/tvl_writer.cc), BindOptionalVectors (models/tvl_reader.cc), ImportGguf
// (models/import/gguf.cc) and TVL_FORMAT.md. The proof is a fixture in
// tests/architectures/fixtures.py, whose test asks for one of each; the oracle there learns the
// trait from its publication, not from here.
inline constexpr ArchitectureTraits kArchitectures[] = {
    {.id = Architecture::kLlama, .name = "llama"},
    {.id = Architecture::kMistral, .name = "mistral", .sliding_window = true},
    {.id = Architecture::kQwen2, .name = "qwen2", .qkv_bias = true},
    {.id = Architecture::kQwen3, .name = "qwen3", .qk_norm = true},
    {.id = Architecture::kLlamaBias, .name = "llama_bias", .qkv_bias = true, .output_bias = true},
};

// Null for a number that is none of them.
constexpr const ArchitectureTraits* FindArchitecture(Architecture id) {
  for (const ArchitectureTraits& traits : kArchitectures) {
    if (traits.id == id) return &traits;
  }
  return nullptr;
}

constexpr const char* ArchitectureName(Architecture id) {
  const ArchitectureTraits* const traits = FindArchitecture(id);
  return traits == nullptr ? "unknown" : traits->name;
}

}  // namespace tvl

#endif  // TVL_CORE_ARCHITECTURE_H_
