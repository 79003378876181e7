// What sets the architectures apart, as traits of one forward pass (models/llama.h).
#ifndef TVL_CORE_ARCHITECTURE_H_
#define TVL_CORE_ARCHITECTURE_H_

#include <cstdint>

namespace tvl {

// Values are stored in files: never renumber.
enum class Architecture : uint32_t { kLlama = 1, kMistral = 2, kQwen2 = 3, kQwen3 = 4 };

// Each is something that Llama has not. A template argument of the forward pass, so that what an
// architecture lacks is not even asked for.
struct ArchitectureTraits {
  Architecture id = Architecture::kLlama;
  bool sliding_window = false;  // a position sees ModelConfig::sliding_window ones, itself the last
  bool qkv_bias = false;        // queries, keys and values have biases
  bool qk_norm = false;         // heads of queries and keys are normed before RoPE turns them
};

// All that there are. To add one is to add a line; a trait more is a field more, and its use in
// models/llama.h, TvlReader::BindLayer and ListTensors (tvl_writer.cc).
inline constexpr ArchitectureTraits kArchitectures[] = {
    {.id = Architecture::kLlama},
    {.id = Architecture::kMistral, .sliding_window = true},
    {.id = Architecture::kQwen2, .qkv_bias = true},
    {.id = Architecture::kQwen3, .qk_norm = true},
};

constexpr const char* ArchitectureName(Architecture id) {
  switch (id) {
    case Architecture::kLlama:
      return "llama";
    case Architecture::kMistral:
      return "mistral";
    case Architecture::kQwen2:
      return "qwen2";
    case Architecture::kQwen3:
      return "qwen3";
  }
  return "unknown";
}

// Null for a number that is none of them.
constexpr const ArchitectureTraits* FindArchitecture(Architecture id) {
  for (const ArchitectureTraits& traits : kArchitectures) {
    if (traits.id == id) return &traits;
  }
  return nullptr;
}

}  // namespace tvl

#endif  // TVL_CORE_ARCHITECTURE_H_
