#include "models/import/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/quoted.h"
#include "models/import/gguf_rope.h"

namespace tvl {
namespace {

// To add one that differs in more than is told here, add to the struct, and use it in gguf.cc.
constexpr GgufArchitecture kGgufArchitectures[] = {
    {.name = "llama",
     .architecture = Architecture::kLlama,
     .with_window = Architecture::kMistral,
     .interleaved_rope = true},
    {.name = "qwen2",
     .architecture = Architecture::kQwen2,
     .with_window = Architecture::kQwen2,
     .interleaved_rope = false},
    {.name = "qwen3",
     .architecture = Architecture::kQwen3,
     .with_window = Architecture::kQwen3,
     .interleaved_rope = false},
};

// TensorTaker::Vector (gguf.cc) reorders nothing.
static_assert(std::ranges::none_of(kGgufArchitectures, [](const GgufArchitecture& a) {
  const ArchitectureTraits& traits = *FindArchitecture(a.architecture);
  return a.interleaved_rope && (traits.qkv_bias || traits.qk_norm);
}));

constexpr char kWindowKey[] = "attention.sliding_window";

// Keys after the architecture's name that are used, here and in gguf_rope.cc, or say nothing that
// matters.
constexpr std::string_view kKnownKeys[] = {
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_epsilon",  // of layer norms, which these architectures have not
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scale_linear",
    "rope.scaling.attn_factor",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "tensor_data_layout",
    "vocab_size",
};

// Keys that may be there as long as they have the value that changes nothing.
struct NeutralKey {
  std::string_view key;
  float neutral;
  const char* meaning;
};
constexpr NeutralKey kNeutralKeys[] = {
    {"attention.causal", 1, "attention to what follows"},
    {"attention.clamp_kqv", 0, "clamped activations"},
    {"attention.max_alibi_bias", 0, "ALiBi"},
    {"attention.scale", 0, "an attention scale of its own"},
    {kWindowKey, 0, "a sliding window in this architecture"},
    {"attn_logit_softcapping", 0, "capped attention scores"},
    {"embedding_scale", 1, "a scaled embedding"},
    {"expert_count", 0, "a mixture of experts"},
    {"expert_used_count", 0, "a mixture of experts"},
    {"final_logit_softcapping", 0, "capped logits"},
    {"logit_scale", 1, "scaled logits"},
    {"pooling_type", 0, "pooled outputs"},
    {"residual_scale", 1, "a scaled residual"},
};

absl::Status CheckNeutral(const GgufMetadata& metadata, const std::string& key,
                          const NeutralKey& rule) {
  const GgufValue* value = metadata.Find(key);
  const absl::StatusOr<uint32_t> whole = metadata.U32(key);
  const absl::StatusOr<float> number = metadata.F32(key);
  const absl::StatusOr<bool> truth = metadata.BoolOr(key, false);
  if (whole.ok() && static_cast<float>(*whole) == rule.neutral) return absl::OkStatus();
  if (number.ok() && *number == rule.neutral) return absl::OkStatus();
  if (truth.ok() && *truth == (rule.neutral == 1)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("metadata key ", key, ": expected ", rule.neutral,
                                                 " or no such key, because this version "
                                                 "cannot convert models with ",
                                                 rule.meaning, ", found ", GgufValueText(*value)));
}

// A key that is not known may be one without which the model gives wrong answers.
absl::Status CheckKeys(const GgufMetadata& metadata, const GgufArchitecture& architecture,
                       const std::string& prefix) {
  for (const auto& [key, value] : metadata.values()) {
    if (!key.starts_with(prefix)) continue;
    const std::string_view rest = key.substr(prefix.size());
    if (std::ranges::find(kKnownKeys, rest) != std::end(kKnownKeys)) continue;
    if (rest == kWindowKey && architecture.may_have_window()) continue;
    const auto rule = std::ranges::find(kNeutralKeys, rest, &NeutralKey::key);
    if (rule == std::end(kNeutralKeys)) {
      return absl::InvalidArgumentError(
          absl::StrCat("metadata key ", std::string(key),
                       ": expected a hyperparameter that this version knows, "
                       "found ",
                       GgufValueText(value), ", and cannot tell what it changes"));
    }
    if (absl::Status s = CheckNeutral(metadata, std::string(key), *rule); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::StatusOr<const GgufArchitecture*> ReadArchitecture(const GgufMetadata& metadata) {
  const absl::StatusOr<std::string_view> name = metadata.String("general.architecture");
  if (!name.ok()) return name.status();
  std::vector<std::string> known;
  for (const GgufArchitecture& architecture : kGgufArchitectures) {
    if (*name == architecture.name) return &architecture;
    known.emplace_back(architecture.name);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "metadata key general.architecture: expected one that this version can convert (",
      absl::StrJoin(known, ", "), "), found ", Quoted(*name)));
}

// Takes keys one after another; the first error stays.
class KeyReader {
 public:
  KeyReader(const GgufMetadata& metadata, std::string prefix)
      : metadata_(metadata), prefix_(std::move(prefix)) {}

  uint32_t U32(const char* key) { return Keep(metadata_.U32(prefix_ + key)); }
  uint32_t U32Or(const char* key, uint32_t other) {
    return Keep(metadata_.U32Or(prefix_ + key, other));
  }
  float F32(const char* key) { return Keep(metadata_.F32(prefix_ + key)); }
  const absl::Status& status() const { return status_; }
  // What is true of a number that has been read.
  void Expect(bool holds, const char* key, const absl::AlphaNum& expected, uint32_t found) {
    if (!status_.ok() || holds) return;
    status_ = absl::InvalidArgumentError(
        absl::StrCat("metadata key ", prefix_, key, ": expected ", expected, ", found ", found));
  }

 private:
  template <typename T>
  T Keep(const absl::StatusOr<T>& value) {
    if (value.ok()) return *value;
    if (status_.ok()) status_ = value.status();
    return T{};
  }

  const GgufMetadata& metadata_;
  const std::string prefix_;
  absl::Status status_;
};

// All but what the tensors tell and RoPE.
absl::StatusOr<ModelConfig> ReadShapes(const GgufMetadata& metadata,
                                       const GgufArchitecture& architecture,
                                       const std::string& prefix) {
  KeyReader read(metadata, prefix);
  ModelConfig c;
  if (architecture.may_have_window()) c.sliding_window = read.U32Or(kWindowKey, 0);
  c.architecture = c.sliding_window == 0 ? architecture.architecture : architecture.with_window;
  c.dim = read.U32("embedding_length");
  c.hidden_dim = read.U32("feed_forward_length");
  c.n_layers = read.U32("block_count");
  c.n_heads = read.U32("attention.head_count");
  c.n_kv_heads = read.U32Or("attention.head_count_kv", c.n_heads);
  c.context_length = read.U32("context_length");
  c.norm_epsilon = read.F32("attention.layer_norm_rms_epsilon");
  read.Expect(c.n_heads >= 1, "attention.head_count", "1 or more", c.n_heads);
  if (!read.status().ok()) return read.status();
  if (!metadata.Has(prefix + "attention.key_length")) {
    read.Expect(c.dim % c.n_heads == 0, "attention.head_count",
                absl::StrCat("a divisor of embedding_length, ", c.dim), c.n_heads);
  }
  c.head_dim = read.U32Or("attention.key_length", c.dim / c.n_heads);
  const uint32_t value_length = read.U32Or("attention.value_length", c.head_dim);
  read.Expect(value_length == c.head_dim, "attention.value_length",
              absl::StrCat(c.head_dim, ", as the keys have"), value_length);
  c.rope_dims = read.U32Or("rope.dimension_count", c.head_dim);
  c.rope_base = 1;  // until it is read
  if (!read.status().ok()) return read.status();
  c.attention_scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(c.head_dim)));
  return c;
}

}  // namespace

absl::StatusOr<GgufConfig> ReadGgufConfig(const GgufFile& file) {
  const absl::StatusOr<const GgufArchitecture*> architecture = ReadArchitecture(file.metadata);
  if (!architecture.ok()) return architecture.status();
  const std::string prefix = absl::StrCat((*architecture)->name, ".");
  if (absl::Status s = CheckKeys(file.metadata, **architecture, prefix); !s.ok()) return s;
  const absl::StatusOr<ModelConfig> shapes = ReadShapes(file.metadata, **architecture, prefix);
  if (!shapes.ok()) return shapes.status();

  GgufConfig out = {.architecture = *architecture, .config = *shapes, .rope_inv_freq = {}};
  out.config.tied_classifier = file.FindTensor("output.weight") == nullptr;
  const GgufTensor* embedding = file.FindTensor("token_embd.weight");
  if (embedding == nullptr) {
    return absl::InvalidArgumentError(
        "tensor token_embd.weight: expected the embedding, found no such tensor; a file of "
        "vocabulary alone is no model");
  }
  // No valid size is cut off here.
  out.config.vocab_size = static_cast<uint32_t>(
      std::min<uint64_t>(embedding->rows(), std::numeric_limits<uint32_t>::max()));
  if (absl::Status s = ValidateModelConfig(out.config); !s.ok()) return s;
  const absl::StatusOr<uint32_t> vocab_size =
      file.metadata.U32Or(prefix + "vocab_size", out.config.vocab_size);
  if (!vocab_size.ok()) return vocab_size.status();
  if (*vocab_size != out.config.vocab_size) {
    return absl::InvalidArgumentError(
        absl::StrCat("metadata key ", prefix, "vocab_size: expected ", out.config.vocab_size,
                     ", the rows of token_embd.weight, found ", *vocab_size));
  }
  if (absl::Status s = ReadGgufRope(file, prefix, &out.config, &out.rope_inv_freq); !s.ok())
    return s;
  if (absl::Status s = ValidateModelConfig(out.config); !s.ok()) return s;
  return out;
}

}  // namespace tvl
