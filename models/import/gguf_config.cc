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
#include "models/import/gguf_keys.h"
#include "models/import/gguf_rope.h"

namespace tvl {
namespace {

// To add one that differs in more than is told here, add to the struct, and use it in gguf.cc.
constexpr GgufArchitecture kGgufArchitectures[] = {
    {.name = "llama",
     .architecture = Architecture::kLlama,
     .with_window = Architecture::kMistral,
     .with_biases = Architecture::kLlamaBias,
     .interleaved_rope = true},
    {.name = "qwen2",
     .architecture = Architecture::kQwen2,
     .with_window = Architecture::kQwen2,
     .with_biases = Architecture::kQwen2,
     .interleaved_rope = false},
    {.name = "qwen3",
     .architecture = Architecture::kQwen3,
     .with_window = Architecture::kQwen3,
     .with_biases = Architecture::kQwen3,
     .interleaved_rope = false},
};

constexpr char kWindowKey[] = "attention.sliding_window";
constexpr uint32_t kLongestWindow = 1u << 24;  // of the .tvl format

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
  // Of what may differ from layer to layer. Nothing but the number of layers is read before.
  uint32_t OfLayers(const char* key, uint32_t layers) {
    return Keep(metadata_.U32OfLayers(prefix_ + key, layers));
  }
  uint32_t OfLayersOr(const char* key, uint32_t layers, uint32_t other) {
    return metadata_.Has(prefix_ + key) ? OfLayers(key, layers) : other;
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
  c.n_layers = read.U32("block_count");
  const uint32_t layers = c.n_layers;
  if (architecture.may_have_window()) c.sliding_window = read.OfLayersOr(kWindowKey, layers, 0);
  // Longer than any context: it hides nothing.
  if (c.sliding_window > kLongestWindow) c.sliding_window = 0;
  c.architecture = c.sliding_window == 0 ? architecture.architecture : architecture.with_window;
  c.dim = read.U32("embedding_length");
  c.hidden_dim = read.OfLayers("feed_forward_length", layers);
  c.n_heads = read.OfLayers("attention.head_count", layers);
  c.n_kv_heads = read.OfLayersOr("attention.head_count_kv", layers, c.n_heads);
  c.context_length = read.U32("context_length");
  c.norm_epsilon = read.F32("attention.layer_norm_rms_epsilon");
  read.Expect(c.n_heads >= 1, "attention.head_count", "1 or more", c.n_heads);
  if (!read.status().ok()) return read.status();
  if (!metadata.Has(prefix + "attention.key_length")) {
    read.Expect(c.dim % c.n_heads == 0, "attention.head_count",
                absl::StrCat("a divisor of embedding_length, ", c.dim), c.n_heads);
  }
  c.head_dim = read.OfLayersOr("attention.key_length", layers, c.dim / c.n_heads);
  const uint32_t value_length = read.OfLayersOr("attention.value_length", layers, c.head_dim);
  read.Expect(value_length == c.head_dim, "attention.value_length",
              absl::StrCat(c.head_dim, ", as the keys have"), value_length);
  c.rope_dims = read.OfLayersOr("rope.dimension_count", layers, c.head_dim);
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
  GgufConfig out = {.architecture = *architecture, .config = {}, .rope_inv_freq = {}, .notes = {}};
  const bool may_have_window = (*architecture)->may_have_window();
  absl::Status keys = CheckGgufKeys(file.metadata, prefix, may_have_window, &out.notes);
  if (!keys.ok()) return keys;
  const absl::StatusOr<ModelConfig> shapes = ReadShapes(file.metadata, **architecture, prefix);
  if (!shapes.ok()) return shapes.status();

  out.config = *shapes;
  if (out.config.sliding_window != 0) {
    out.notes.push_back(absl::StrCat(
        "metadata key ", prefix, kWindowKey, ": attention sees the last ",
        out.config.sliding_window,
        " positions, as Mistral publishes its models; llama.cpp does not read this key here"));
  }
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
    out.notes.push_back(absl::StrCat("metadata key ", prefix, "vocab_size: found ", *vocab_size,
                                     ", which was left out, since token_embd.weight has ",
                                     out.config.vocab_size, " rows"));
  }
  absl::Status rope = ReadGgufRope(file, prefix, &out.config, &out.rope_inv_freq, &out.notes);
  if (!rope.ok()) return rope;
  if (absl::Status s = ValidateModelConfig(out.config); !s.ok()) return s;
  return out;
}

}  // namespace tvl
