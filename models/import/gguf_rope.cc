#include "models/import/gguf_rope.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/canonical_math.h"
#include "core/quoted.h"
#include "models/import/gguf_dequantize.h"

namespace tvl {
namespace {

constexpr float kDefaultBase = 10000;
constexpr float kMaxFrequency = 32;  // the format's limit (models/TVL_FORMAT.md, "Limits")
constexpr double kPi = 3.14159265358979323846;

struct Scaling {
  std::string_view type;
  double factor = 1;
  double original_context = 0;  // yarn
  double beta_fast = 32, beta_slow = 1;
  double attention_factor = 1;       // of cosines and sines
  double yarn_attention_factor = 1;  // likewise, with yarn only
  double extrapolation = 1;          // how much of yarn's ramp counts
};

absl::Status ExpectedAt(const std::string& key, const char* expected, const absl::AlphaNum& found) {
  return absl::InvalidArgumentError(
      absl::StrCat("metadata key ", key, ": expected ", expected, ", found ", found));
}

absl::StatusOr<double> PositiveOr(const GgufMetadata& metadata, const std::string& key,
                                  float fallback) {
  const absl::StatusOr<float> value = metadata.F32Or(key, fallback);
  if (!value.ok()) return value.status();
  if (*value >= 1e-6f && *value <= 1e12f) return *value;
  return ExpectedAt(key, "a number from 1e-06 to 1e+12", *value);
}

// YaRN, section 3.3. A factor up to 1 stretches nothing, and the authors leave the magnitude as it
// is.
double YarnMagnitude(double factor) { return factor > 1 ? 1 + 0.1 * CanonicalLog(factor) : 1; }

// 0 is "none", as llama.cpp has it.
absl::StatusOr<double> FactorOr(const GgufMetadata& metadata, const std::string& key,
                                double fallback) {
  const absl::StatusOr<float> value = metadata.F32Or(key, 1);
  if (value.ok() && *value == 0) return 1;
  return metadata.Has(key) ? PositiveOr(metadata, key, 1) : fallback;
}

// The keys of yarn that llama.cpp does not read in these architectures' files.
void NoteYarnKeys(const Scaling& scaling, const std::string& prefix,
                  std::vector<std::string>* notes) {
  const struct {
    const char* key;
    double value, usual;
  } keys[] = {{"yarn_beta_fast", scaling.beta_fast, 32},
              {"yarn_beta_slow", scaling.beta_slow, 1},
              {"yarn_attn_factor", scaling.yarn_attention_factor, 1},
              {"yarn_ext_factor", scaling.extrapolation, 1}};
  for (const auto& k : keys) {
    if (k.value == k.usual) continue;
    notes->push_back(absl::StrCat("metadata key ", prefix, "rope.scaling.", k.key, ": ", k.value,
                                  " in place of ", k.usual,
                                  ", as YaRN's authors use it; llama.cpp does not read this key "
                                  "here"));
  }
}

absl::StatusOr<Scaling> ReadScaling(const GgufMetadata& metadata, const std::string& prefix,
                                    const ModelConfig& config) {
  const std::string at = absl::StrCat(prefix, "rope.scaling.");
  // Files of 2023 have a factor alone.
  const absl::StatusOr<double> old_factor =
      FactorOr(metadata, absl::StrCat(prefix, "rope.scale_linear"), 1);
  if (!old_factor.ok()) return old_factor.status();
  const absl::StatusOr<double> factor = FactorOr(metadata, at + "factor", *old_factor);
  if (!factor.ok()) return factor.status();
  const absl::StatusOr<std::string_view> type = metadata.StringOr(at + "type", "linear");
  if (!type.ok()) return type.status();
  Scaling scaling = {.type = *type, .factor = *factor};
  if (*type != "none" && *type != "linear" && *type != "yarn")
    return ExpectedAt(at + "type", "none, linear or yarn", Quoted(*type));
  const struct {
    const char* key;
    double* value;
    double fallback;
  } numbers[] = {{"attn_factor", &scaling.attention_factor, 1},
                 {"yarn_attn_factor", &scaling.yarn_attention_factor, 1},
                 {"yarn_beta_fast", &scaling.beta_fast, 32},
                 {"yarn_beta_slow", &scaling.beta_slow, 1}};
  const bool yarn = *type == "yarn";
  for (const auto& number : numbers) {
    if (!yarn && std::string_view(number.key).starts_with("yarn")) continue;  // says nothing
    const absl::StatusOr<double> value =
        PositiveOr(metadata, at + number.key, static_cast<float>(number.fallback));
    if (!value.ok()) return value.status();
    *number.value = *value;
  }
  // Negative is llama.cpp's "not set".
  const std::string extrapolation = at + "yarn_ext_factor";
  const absl::StatusOr<float> ext = yarn ? metadata.F32Or(extrapolation, 1) : 1;
  if (!ext.ok()) return ext.status();
  if (*ext > 1) return ExpectedAt(extrapolation, "a number up to 1", *ext);
  scaling.extrapolation = *ext < 0 ? 1 : *ext;
  // Converters write two things under this key: what the magnitude is multiplied by (attn_factor of
  // YaRN's authors), and the whole magnitude (attention_factor of Hugging Face). The latter is
  // nearly always what it would be without the key, and is taken for that then.
  if (scaling.factor > 1 &&
      std::fabs(scaling.yarn_attention_factor - YarnMagnitude(*factor)) <= 1e-4)
    scaling.yarn_attention_factor = 1;
  const std::string original = at + "original_context_length";
  const absl::StatusOr<uint32_t> context = metadata.U32Or(original, config.context_length);
  if (!context.ok()) return context.status();
  scaling.original_context = *context == 0 ? config.context_length : *context;
  return scaling;
}

// The factors by which Llama 3.1 and later divide the frequencies; ones where there are none.
absl::StatusOr<std::vector<float>> ReadFactors(const GgufFile& file, size_t count) {
  std::vector<float> factors(count, 1);
  const GgufTensor* tensor = file.FindTensor("rope_freqs.weight");
  if (tensor == nullptr) return factors;
  if (tensor->cols() != count || tensor->rows() != 1) {
    return absl::InvalidArgumentError(absl::StrCat("tensor rope_freqs.weight: expected ", count,
                                                   " numbers, found ", tensor->cols(), " x ",
                                                   tensor->rows()));
  }
  DequantizeGgufRow(tensor->type->type, tensor->data.data(), count, factors.data());
  for (size_t i = 0; i < count; ++i) {
    if (factors[i] >= 1e-6f && factors[i] <= 1e12f) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("tensor rope_freqs.weight: number ", i,
                     ": expected a number from 1e-06 to 1e+12, found ", factors[i]));
  }
  return factors;
}

// YaRN (arXiv 2309.00071, section 3.2): dimensions that turn often within the original context keep
// their frequency, those that turn rarely are slowed down by the factor, and between the two is a
// ramp. Its ends are rounded to whole pairs, as in the authors' code and in llama.cpp.
class YarnRamp {
 public:
  YarnRamp(const Scaling& scaling, double base, uint32_t rope_dims) {
    const double log_base = CanonicalLog(base);
    // The pair that turns so many times.
    const auto pair = [&](double turns) {
      return rope_dims * CanonicalLog(scaling.original_context / (turns * 2 * kPi)) /
             (2 * log_base);
    };
    low_ = std::max(0.0, std::floor(pair(scaling.beta_fast)));
    high_ = std::min(rope_dims - 1.0, std::ceil(pair(scaling.beta_slow)));
  }

  // How much of pair i keeps its frequency: 1 to 0.
  double Kept(size_t i) const {
    const double at = (static_cast<double>(i) - low_) / std::max(0.001, high_ - low_);
    return 1 - std::clamp(at, 0.0, 1.0);
  }

 private:
  double low_, high_;
};

}  // namespace

absl::Status ReadGgufRope(const GgufFile& file, const std::string& prefix, ModelConfig* config,
                          std::vector<float>* inv_freq, std::vector<std::string>* notes) {
  const std::string base_key = absl::StrCat(prefix, "rope.freq_base");
  const absl::StatusOr<float> base = file.metadata.F32Or(base_key, kDefaultBase);
  if (!base.ok()) return base.status();
  if (!(*base > 1 && *base <= 1e12f))
    return ExpectedAt(base_key, "a number above 1 and up to 1e+12", *base);
  config->rope_base = *base;
  const absl::StatusOr<Scaling> scaling = ReadScaling(file.metadata, prefix, *config);
  if (!scaling.ok()) return scaling.status();
  const uint32_t dims = config->rope_dims;
  const absl::StatusOr<std::vector<float>> factors = ReadFactors(file, dims / 2);
  if (!factors.ok()) return factors.status();

  const bool yarn = scaling->type == "yarn";
  if (yarn) NoteYarnKeys(*scaling, prefix, notes);
  const double slower = scaling->type == "none" ? 1 : scaling->factor;
  const YarnRamp ramp(*scaling, *base, dims);
  for (uint32_t i = 0; i < dims / 2; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(dims);
    const double plain = CanonicalPow(*base, exponent) / (*factors)[i];
    const double kept = yarn ? ramp.Kept(i) * scaling->extrapolation : 0;
    const float frequency = static_cast<float>(plain * kept + plain / slower * (1 - kept));
    if (!(frequency <= kMaxFrequency)) {
      return absl::InvalidArgumentError(absl::StrCat("RoPE frequency ", i, " by ", prefix,
                                                     "rope.* and rope_freqs.weight: "
                                                     "expected up to ",
                                                     kMaxFrequency, ", found ", frequency));
    }
    inv_freq->push_back(frequency);
  }
  // Sines and cosines grow by this, so the turned queries and keys do, and scores by its square.
  double growth = scaling->attention_factor;
  if (yarn) growth *= scaling->yarn_attention_factor * YarnMagnitude(slower);
  if (growth == 1) return absl::OkStatus();
  if (dims != config->head_dim) {
    return ExpectedAt(absl::StrCat(prefix, "rope.dimension_count"),
                      "all dimensions of a head where rope.scaling changes the scores", dims);
  }
  config->attention_scale =
      static_cast<float>(static_cast<double>(config->attention_scale) * growth * growth);
  return absl::OkStatus();
}

}  // namespace tvl
