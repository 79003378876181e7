#include "models/import/gguf_keys.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace tvl {
namespace {

// Keys that the importer reads (gguf_config.cc, gguf_rope.cc), and keys that belong to what these
// architectures have not, whatever their value: layer norms and group norms, and a description of
// how the tensors were laid out in the model's source.
constexpr std::string_view kKnownKeys[] = {
    "attention.group_norm_epsilon",
    "attention.group_norm_groups",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_epsilon",
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
    "rope.scaling.yarn_attn_factor",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "rope.scaling.yarn_ext_factor",
    "tensor_data_layout",
    "vocab_size",
};

// What may be there as long as it has a value that changes nothing: each of `neutral`. Those of
// arrays hold for every element. Sources: where llama.cpp (src/llama-model.cpp, src/models) takes a
// key's absence, and what it computes with the value then.
struct NeutralKey {
  std::string_view key;
  std::initializer_list<double> neutral;
  const char* meaning;
};
const NeutralKey kNeutralKeys[] = {
    {"attention.causal", {1}, "attention to what follows"},
    {"attention.clamp_kqv", {0}, "clamped activations"},
    {"attention.max_alibi_bias", {0}, "ALiBi"},
    {"attention.output_scale", {1, 0}, "scaled outputs of attention"},
    {"attention.rope_pattern", {1}, "layers without RoPE"},
    {"attention.value_scale", {1, 0}, "scaled values"},
    {"attn_logit_softcapping", {0}, "capped attention scores"},
    {"deepstack_mapping", {-1}, "features of images between the layers"},
    {"embedding_scale", {1, 0}, "a scaled embedding"},
    {"expert_count", {0}, "a mixture of experts"},
    {"expert_used_count", {0}, "a mixture of experts"},
    {"final_logit_softcapping", {0}, "capped logits"},
    {"full_attention_interval", {0, 1}, "layers without attention"},
    {"logit_scale", {1, 0}, "scaled logits"},
    {"nextn_predict_layers", {0}, "layers that predict further tokens"},
    {"num_loops", {0, 1}, "layers that are run several times"},
    {"pooling_type", {0, -1, 4294967295}, "pooled outputs"},
    {"residual_scale", {1, 0}, "a scaled residual"},
    {"rope.scaling.alpha", {0, 1}, "a RoPE base that is scaled by alpha"},
    {"rope.scaling.yarn_log_multiplier", {0}, "a multiplier of YaRN's logarithm"},
    {"use_parallel_residual", {0}, "attention and feed-forward side by side"},
};

// Of a mixture of experts; without experts (`expert_count` is checked) they say nothing.
constexpr std::string_view kExpertKeys[] = {
    "expert_chunk_feed_forward_length",
    "expert_feed_forward_length",
    "expert_gating_func",
    "expert_group_count",
    "expert_group_scale",
    "expert_group_used_count",
    "expert_latent_length",
    "expert_shared_count",
    "expert_shared_feed_forward_length",
    "expert_weights_norm",
    "expert_weights_scale",
    "experts_per_group",
    "interleave_moe_layer_step",
    "leading_dense_block_count",
    "moe_every_n_layers",
    "moe_latent_size",
    "router_logit_softcapping",
};

// Of layers that attend within a window beside layers that do not. The value of the second key, or
// the fallback, changes nothing.
struct WindowedKey {
  std::string_view key, same_as;
  double fallback;
};
constexpr WindowedKey kWindowedKeys[] = {
    {"attention.key_length_swa", "attention.key_length", 0},
    {"attention.value_length_swa", "attention.value_length", 0},
    {"rope.dimension_count_swa", "rope.dimension_count", 0},
    {"rope.freq_base_swa", "rope.freq_base", 10000},
};

// Also of what has the same number for every layer.
std::optional<double> Number(const GgufMetadata& metadata, std::string_view key) {
  const GgufValue* value = metadata.Find(key);
  return value == nullptr ? std::nullopt : GgufNumber(*value);
}

// Whether the value is, or all elements of it are, one of `neutral`. Empty arrays and texts are.
bool IsNeutral(const GgufValue& value, std::initializer_list<double> neutral) {
  if (value.type == GgufValueType::kString) return value.bytes.empty();
  if (value.type == GgufValueType::kArray && value.count == 0) return true;
  return AllGgufNumbers(
      value, [&](double number) { return std::ranges::find(neutral, number) != neutral.end(); });
}

absl::Status ChangesTheModel(std::string_view key, const absl::AlphaNum& expected,
                             const char* meaning, const GgufValue& value) {
  return absl::InvalidArgumentError(
      absl::StrCat("metadata key ", std::string(key), ": expected ", expected,
                   " or no such key, because this version cannot convert models with ", meaning,
                   ", found ", GgufValueText(value)));
}

class KeyChecker {
 public:
  KeyChecker(const GgufMetadata& metadata, const std::string& prefix, bool may_have_window,
             std::vector<std::string>* notes)
      : metadata_(metadata),
        prefix_(prefix),
        may_have_window_(may_have_window),
        has_window_(may_have_window && NumberOf("attention.sliding_window").value_or(0) != 0),
        notes_(*notes) {}

  absl::Status Check(std::string_view key, const GgufValue& value) {
    const std::string_view rest = key.substr(prefix_.size());
    if (Contains(kKnownKeys, rest) || Contains(kExpertKeys, rest)) return absl::OkStatus();
    if (rest == "attention.sliding_window") return CheckWindow(key, value);
    if (rest == "attention.sliding_window_pattern") return CheckWindowPattern(key, value);
    if (rest == "attention.scale") return CheckAttentionScale(key, value);
    if (rest == "embedding_length_out") return CheckSame(key, value, "embedding_length");
    if (rest == "hidden_activation") return CheckActivation(key, value);
    for (const WindowedKey& windowed : kWindowedKeys) {
      if (rest == windowed.key) return CheckWindowed(key, value, windowed);
    }
    const auto rule = std::ranges::find(kNeutralKeys, rest, &NeutralKey::key);
    if (rule != std::end(kNeutralKeys)) {
      if (IsNeutral(value, rule->neutral)) return absl::OkStatus();
      return ChangesTheModel(key, *rule->neutral.begin(), rule->meaning, value);
    }
    return CheckUnknown(key, value);
  }

 private:
  template <typename Keys>
  static bool Contains(const Keys& keys, std::string_view key) {
    return std::ranges::find(keys, key) != std::end(keys);
  }
  std::optional<double> NumberOf(std::string_view rest) const {
    return Number(metadata_, absl::StrCat(prefix_, std::string(rest)));
  }

  // Of the architectures whose publishers have windows the importer reads it. A window that no text
  // of the trained length reaches hides nothing.
  absl::Status CheckWindow(std::string_view key, const GgufValue& value) {
    if (may_have_window_ || IsNeutral(value, {0})) return absl::OkStatus();
    const std::optional<double> window = Number(metadata_, key);
    const std::optional<double> context = NumberOf("context_length");
    if (!window || !context || *window < *context)
      return ChangesTheModel(key, "0, context_length or more",
                             "a sliding window in this architecture", value);
    notes_.push_back(absl::StrCat("metadata key ", std::string(key), ": a window of ", *window,
                                  " positions hides nothing within the context of ", *context,
                                  "; it was left out"));
    return absl::OkStatus();
  }

  // 1, or true for every layer: all layers have the window.
  absl::Status CheckWindowPattern(std::string_view key, const GgufValue& value) const {
    if (!has_window_ || IsNeutral(value, {1})) return absl::OkStatus();
    return ChangesTheModel(key, 1, "a sliding window in some layers only", value);
  }

  absl::Status CheckWindowed(std::string_view key, const GgufValue& value,
                             const WindowedKey& rule) const {
    if (!has_window_) return absl::OkStatus();
    const double plain = NumberOf(rule.same_as).value_or(rule.fallback);
    if (IsNeutral(value, {plain, 0})) return absl::OkStatus();
    return ChangesTheModel(key, plain, "layers that differ", value);
  }

  absl::Status CheckAttentionScale(std::string_view key, const GgufValue& value) const {
    const std::optional<double> heads = NumberOf("attention.head_count");
    const std::optional<double> dim = NumberOf("embedding_length");
    std::optional<double> head_dim = NumberOf("attention.key_length");
    if (!head_dim && heads && *heads > 0 && dim) head_dim = *dim / *heads;
    // Converters compute it in double or in single precision.
    const double usual = head_dim && *head_dim > 0 ? 1 / std::sqrt(*head_dim) : 0;
    const std::optional<double> scale = Number(metadata_, key);
    if (scale && (*scale == 0 || std::fabs(*scale - usual) <= 1e-6 * usual))
      return absl::OkStatus();
    return ChangesTheModel(key, usual, "an attention scale of its own", value);
  }

  absl::Status CheckSame(std::string_view key, const GgufValue& value,
                         std::string_view other) const {
    const double same = NumberOf(other).value_or(0);
    if (IsNeutral(value, {same, 0})) return absl::OkStatus();
    return ChangesTheModel(key, same, "outputs of another size", value);
  }

  static absl::Status CheckActivation(std::string_view key, const GgufValue& value) {
    const std::string name = absl::AsciiStrToLower(std::string(GgufStringOf(value)));
    if (IsNeutral(value, {}) || name == "silu" || name == "swish" || name == "swiglu")
      return absl::OkStatus();
    return ChangesTheModel(key, "silu", "another activation", value);
  }

  // It may be one without which the model gives wrong answers, but for what is switched off.
  absl::Status CheckUnknown(std::string_view key, const GgufValue& value) {
    if (IsNeutral(value, {0})) return absl::OkStatus();
    const std::string what = absl::StrCat("metadata key ", std::string(key), ": ");
    if (value.type == GgufValueType::kString) {
      notes_.push_back(
          absl::StrCat(what, GgufValueText(value), " is not known here and was left out"));
      return absl::OkStatus();
    }
    return absl::InvalidArgumentError(
        absl::StrCat(what, "expected a hyperparameter that this version knows, found ",
                     GgufValueText(value), ", and cannot tell what it changes"));
  }

  const GgufMetadata& metadata_;
  const std::string& prefix_;
  const bool may_have_window_, has_window_;
  std::vector<std::string>& notes_;
};

}  // namespace

absl::Status CheckGgufKeys(const GgufMetadata& metadata, const std::string& prefix,
                           bool may_have_window, std::vector<std::string>* notes) {
  KeyChecker checker(metadata, prefix, may_have_window, notes);
  for (const auto& [key, value] : metadata.values()) {
    if (!key.starts_with(prefix)) continue;
    if (absl::Status s = checker.Check(key, value); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace tvl
