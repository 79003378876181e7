#include "models/import/llama2c.h"

#include <cmath>
#include <cstdint>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/canonical_math.h"
#include "core/model_config.h"

namespace tvl {
namespace {

struct Header {
  int32_t dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len;
};
static_assert(sizeof(Header) == 28);

constexpr double kRopeBase = 10000.0;  // fixed in llama2.c
constexpr float kNormEpsilon = 1e-5f;  // likewise

absl::Status CheckHeader(const Header& h) {
  const struct {
    const char* field;
    int32_t value;
    int32_t max;
  } fields[] = {{"dim", h.dim, 1 << 17},
                {"hidden_dim", h.hidden_dim, 1 << 20},
                {"n_layers", h.n_layers, 1024},
                {"n_heads", h.n_heads, 4096},
                {"n_kv_heads", h.n_kv_heads, 4096},
                {"seq_len", h.seq_len, 1 << 24}};
  for (const auto& f : fields) {
    if (f.value >= 1 && f.value <= f.max) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("header field ", f.field, ": expected 1 to ", f.max, ", found ", f.value,
                     "; is this a llama2.c checkpoint of version 0?"));
  }
  constexpr int64_t kMaxVocab = 1 << 24;
  const int64_t vocab = std::abs(int64_t{h.vocab_size});
  if (vocab < 1 || vocab > kMaxVocab) {
    return absl::InvalidArgumentError(
        absl::StrCat("header field vocab_size: expected a magnitude of 1 to ", kMaxVocab,
                     ", found ", h.vocab_size));
  }
  if (h.dim % h.n_heads != 0 || h.dim / h.n_heads % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("header field n_heads: expected heads of an even number of dimensions, found ",
                     h.n_heads, " heads for dim ", h.dim));
  }
  if (h.n_heads % h.n_kv_heads != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("header field n_kv_heads: expected a divisor of n_heads = ", h.n_heads,
                     ", found ", h.n_kv_heads));
  }
  return absl::OkStatus();
}

ModelConfig MakeConfig(const Header& h) {
  ModelConfig c;
  c.dim = h.dim;
  c.hidden_dim = h.hidden_dim;
  c.n_layers = h.n_layers;
  c.n_heads = h.n_heads;
  c.n_kv_heads = h.n_kv_heads;
  c.head_dim = h.dim / h.n_heads;
  c.vocab_size = std::abs(h.vocab_size);
  c.context_length = h.seq_len;
  c.tied_classifier = h.vocab_size > 0;
  c.norm_epsilon = kNormEpsilon;
  c.attention_scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(c.head_dim)));
  c.rope_dims = c.head_dim;
  c.rope_base = static_cast<float>(kRopeBase);
  return c;
}

// The floats that a checkpoint of this shape holds after its header.
uint64_t ExpectedFloats(const ModelConfig& c) {
  const uint64_t dim = c.dim, kv = c.kv_dim(), hidden = c.hidden_dim, vocab = c.vocab_size;
  const uint64_t per_layer = 2 * dim + 2 * dim * dim + 2 * kv * dim + 3 * dim * hidden;
  const uint64_t rope_tables =
      uint64_t{c.context_length} * c.head_dim;  // cosines and sines, which nobody needs
  return vocab * dim + c.n_layers * per_layer + dim + rope_tables +
         (c.tied_classifier ? 0 : vocab * dim);
}

// Walks the checkpoint: one tensor after another, each for all layers.
class Cursor {
 public:
  explicit Cursor(const float* at) : at_(at) {}
  const float* Take(uint64_t floats) { return std::exchange(at_, at_ + floats); }
  MatrixSource Matrix(uint32_t rows, uint32_t cols, uint32_t rope_head_dim = 0) {
    return {Take(uint64_t{rows} * cols), rows, cols, rope_head_dim};
  }

 private:
  const float* at_;
};

}  // namespace

absl::StatusOr<ModelSource> ImportLlama2c(std::span<const std::byte> file) {
  Header h;
  if (file.size() < sizeof(h)) {
    return absl::InvalidArgumentError(absl::StrCat("file size: expected at least a header of ",
                                                   sizeof(h), " bytes, found ", file.size()));
  }
  std::memcpy(&h, file.data(), sizeof(h));
  if (absl::Status s = CheckHeader(h); !s.ok()) return s;
  ModelSource model;
  model.config = MakeConfig(h);
  const ModelConfig& c = model.config;
  if (absl::Status s = ValidateModelConfig(c); !s.ok()) return s;
  const uint64_t expected = sizeof(h) + ExpectedFloats(c) * sizeof(float);
  if (file.size() != expected) {
    return absl::InvalidArgumentError(
        absl::StrCat("file size: expected ", expected, " bytes by the header, found ", file.size(),
                     file.size() < expected ? "; the file is truncated" : ""));
  }
  for (uint32_t i = 0; i < c.rope_dims / 2; ++i) {
    model.rope_inv_freq.push_back(static_cast<float>(
        CanonicalPow(kRopeBase, -2.0 * static_cast<double>(i) / static_cast<double>(c.rope_dims))));
  }
  Cursor cursor(reinterpret_cast<const float*>(file.data() + sizeof(h)));
  model.layers.resize(c.n_layers);
  const auto each = [&](auto&& fill) {
    for (LayerSource& layer : model.layers) fill(layer);
  };
  model.embedding = cursor.Matrix(c.vocab_size, c.dim);
  each([&](LayerSource& l) { l.attention_norm = cursor.Take(c.dim); });
  each([&](LayerSource& l) { l.wq = cursor.Matrix(c.q_dim(), c.dim, c.head_dim); });
  each([&](LayerSource& l) { l.wk = cursor.Matrix(c.kv_dim(), c.dim, c.head_dim); });
  each([&](LayerSource& l) { l.wv = cursor.Matrix(c.kv_dim(), c.dim); });
  each([&](LayerSource& l) { l.wo = cursor.Matrix(c.dim, c.q_dim()); });
  each([&](LayerSource& l) { l.ffn_norm = cursor.Take(c.dim); });
  each([&](LayerSource& l) { l.w1 = cursor.Matrix(c.hidden_dim, c.dim); });
  each([&](LayerSource& l) { l.w2 = cursor.Matrix(c.dim, c.hidden_dim); });
  each([&](LayerSource& l) { l.w3 = cursor.Matrix(c.hidden_dim, c.dim); });
  model.final_norm = cursor.Take(c.dim);
  cursor.Take(uint64_t{c.context_length} * c.head_dim);
  if (!c.tied_classifier) model.classifier = cursor.Matrix(c.vocab_size, c.dim);
  return model;
}

}  // namespace tvl
