// Hyperparameters of a model, as typed fields.
#ifndef TVL_CORE_MODEL_CONFIG_H_
#define TVL_CORE_MODEL_CONFIG_H_

#include <cstdint>

#include "absl/status/status.h"
#include "core/architecture.h"

namespace tvl {

// Values are stored in files: never renumber. 0 means "absent" everywhere.
enum class RopeKind : uint32_t { kHalfSplit = 1 };  // pairs (i, i + rope_dims / 2)
enum class RopeScaling : uint32_t { kNone = 1 };
enum class Activation : uint32_t { kSwiGlu = 1 };

struct ModelConfig {
  Architecture architecture = Architecture::kLlama;
  uint32_t dim = 0;         // width of the residual stream
  uint32_t hidden_dim = 0;  // width of the feed-forward layer
  uint32_t n_layers = 0;
  uint32_t n_heads = 0;     // query heads
  uint32_t n_kv_heads = 0;  // key/value heads; divides n_heads (grouped-query attention)
  uint32_t head_dim = 0;
  uint32_t vocab_size = 0;
  uint32_t context_length = 0;   // positions that the model was trained for
  bool tied_classifier = false;  // the classifier is the embedding, stored once
  float norm_epsilon = 0;
  float attention_scale = 0;  // scores are dot(k, q) * attention_scale
  Activation activation = Activation::kSwiGlu;
  RopeKind rope_kind = RopeKind::kHalfSplit;
  RopeScaling rope_scaling = RopeScaling::kNone;
  uint32_t rope_dims = 0;  // leading dimensions of a head that RoPE turns; even
  float rope_base = 0;     // for information: the inverse frequencies are stored as a tensor
  // Positions that a position sees, itself the last; 0 where the architecture has no window.
  uint32_t sliding_window = 0;

  uint32_t q_dim() const { return n_heads * head_dim; }
  uint32_t kv_dim() const { return n_kv_heads * head_dim; }
  uint32_t heads_per_kv() const { return n_heads / n_kv_heads; }
  // REQUIRES: a valid configuration.
  const ArchitectureTraits& traits() const { return *FindArchitecture(architecture); }

  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

// InvalidArgument naming the field, what was expected and what was found; OK when every field is in
// range and the fields agree with each other. Bounds are generous for real models and small enough
// that no size computed from a valid configuration overflows 64 bits.
absl::Status ValidateModelConfig(const ModelConfig& config);

}  // namespace tvl

#endif  // TVL_CORE_MODEL_CONFIG_H_
