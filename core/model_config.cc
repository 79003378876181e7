#include "core/model_config.h"

#include <cmath>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace tvl {
namespace {

absl::Status CheckRange(const char* field, uint64_t value, uint64_t low, uint64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  const std::string expected = low == high ? absl::StrCat(low) : absl::StrCat(low, " to ", high);
  return absl::InvalidArgumentError(
      absl::StrCat("config field ", field, ": expected ", expected, ", found ", value));
}

absl::Status CheckPositive(const char* field, float value, float high) {
  if (value > 0 && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "config field ", field, ": expected a number above 0 and up to ", high, ", found ", value));
}

absl::Status CheckArchitecture(Architecture id) {
  if (FindArchitecture(id) != nullptr) return absl::OkStatus();
  std::string known;
  for (const ArchitectureTraits& traits : kArchitectures) {
    absl::StrAppend(&known, known.empty() ? "" : ", ", static_cast<uint32_t>(traits.id), " (",
                    ArchitectureName(traits.id), ")");
  }
  return absl::InvalidArgumentError(absl::StrCat("config field architecture: expected one of ",
                                                 known, ", found ", static_cast<uint32_t>(id),
                                                 ", which this version does not know"));
}

template <typename E>
absl::Status CheckKnown(const char* field, E value, E only) {
  if (value == only) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("config field ", field, ": expected ", static_cast<uint32_t>(only), ", found ",
                   static_cast<uint32_t>(value), ", which this version does not know"));
}

}  // namespace

absl::Status ValidateModelConfig(const ModelConfig& c) {
  const absl::Status checks[] = {
      CheckArchitecture(c.architecture),
      CheckRange("dim", c.dim, 1, 1u << 17),
      CheckRange("hidden_dim", c.hidden_dim, 1, 1u << 20),
      CheckRange("n_layers", c.n_layers, 1, 1024),
      CheckRange("n_heads", c.n_heads, 1, 4096),
      CheckRange("n_kv_heads", c.n_kv_heads, 1, 4096),
      CheckRange("head_dim", c.head_dim, 2, 1024),
      CheckRange("vocab_size", c.vocab_size, 1, 1u << 24),
      CheckRange("context_length", c.context_length, 1, 1u << 24),
      CheckPositive("norm_epsilon", c.norm_epsilon, 1.0f),
      CheckPositive("attention_scale", c.attention_scale, 1024.0f),
      CheckKnown("activation", c.activation, Activation::kSwiGlu),
      CheckKnown("rope_kind", c.rope_kind, RopeKind::kHalfSplit),
      CheckKnown("rope_scaling", c.rope_scaling, RopeScaling::kNone),
      CheckRange("rope_dims", c.rope_dims, 2, c.head_dim),
      CheckPositive("rope_base", c.rope_base, 1e12f),
  };
  for (const absl::Status& status : checks) {
    if (!status.ok()) return status;
  }
  const bool window = c.traits().sliding_window;
  absl::Status status =
      CheckRange("sliding_window", c.sliding_window, window, window ? 1u << 24 : 0);
  if (!status.ok()) return status;
  if (c.n_heads % c.n_kv_heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("config field n_kv_heads: expected a divisor of n_heads = ", c.n_heads,
                     ", found ", c.n_kv_heads));
  }
  if (c.rope_dims % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("config field rope_dims: expected an even number, found ", c.rope_dims));
  }
  return absl::OkStatus();
}

}  // namespace tvl
