#include "models/import/gguf.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/model_config.h"
#include "models/import/gguf_config.h"
#include "models/import/gguf_tensors.h"

namespace tvl {
namespace {

// Where the matrices of a layer are, and without ".weight" and ".bias".
struct LayerNames {
  GgufRows q, k, v, o, gate, up, down;
};

LayerNames NamesOf(const GgufTensorTaker& take, const GgufFile& file, const ModelConfig& c,
                   size_t layer) {
  const std::string at = absl::StrCat("blk.", layer, ".");
  const uint32_t q = c.q_dim(), kv = c.kv_dim(), hidden = c.hidden_dim;
  LayerNames names = {.q = {at + "attn_q", q},
                      .k = {at + "attn_k", kv},
                      .v = {at + "attn_v", kv},
                      .o = {at + "attn_output", c.dim},
                      .gate = {at + "ffn_gate", hidden},
                      .up = {at + "ffn_up", hidden},
                      .down = {at + "ffn_down", c.dim}};
  // Queries, keys and values, one below the other (convert_hf_to_gguf.py --fuse-qkv).
  if (const std::string qkv = at + "attn_qkv"; take.Has(qkv + ".weight")) {
    names.q = {qkv, q, 0, q + 2 * kv};
    names.k = {qkv, kv, q, q + 2 * kv};
    names.v = {qkv, kv, q + kv, q + 2 * kv};
  }
  // Gate, and up below it: under a name of their own, or, as Phi-3's files have it, as an "up" of
  // twice the rows.
  const GgufTensor* up = file.FindTensor(at + "ffn_up.weight");
  const bool twice =
      !take.Has(at + "ffn_gate.weight") && up != nullptr && up->rows() == uint64_t{2} * hidden;
  if (const std::string both = at + (twice ? "ffn_up" : "ffn_gate_up");
      twice || take.Has(both + ".weight")) {
    names.gate = {both, hidden, 0, 2 * hidden};
    names.up = {both, hidden, hidden, 2 * hidden};
  }
  return names;
}

GgufRows With(GgufRows rows, const char* suffix) {
  rows.tensor += suffix;
  return rows;
}

// What the products of a layer have added to them; empty where the file has no such tensor.
struct LayerBiases {
  std::vector<float> q, k, v, o, gate, up, down;

  static bool Any(const std::vector<float>& bias) {
    return std::ranges::any_of(bias, [](float number) { return number != 0; });
  }
  bool any() const {
    return Any(q) || Any(k) || Any(v) || Any(o) || Any(gate) || Any(up) || Any(down);
  }
};

// Biases next to fused weights may be fused or not. `output`: of more than queries, keys and
// values.
LayerBiases ReadBiases(GgufTensorTaker& take, const LayerNames& names, const std::string& at,
                       bool output) {
  const auto read = [&](const GgufRows& rows, const char* plain) {
    if (take.Has(rows.tensor + ".bias")) return take.Bias(With(rows, ".bias"));
    return take.Bias({absl::StrCat(at, plain, ".bias"), rows.rows});
  };
  LayerBiases biases;
  biases.q = read(names.q, "attn_q");
  biases.k = read(names.k, "attn_k");
  biases.v = read(names.v, "attn_v");
  if (!output) return biases;
  biases.o = read(names.o, "attn_output");
  biases.gate = read(names.gate, "ffn_gate");
  biases.up = read(names.up, "ffn_up");
  biases.down = read(names.down, "ffn_down");
  return biases;
}

class LayerReader {
 public:
  LayerReader(const GgufFile& file, bool interleaved_rope, GgufTensorTaker* take,
              ModelSource* model)
      : file_(file), pairs_(interleaved_rope), take_(*take), model_(*model) {}

  // Biases that are not zero make another architecture of the model, where there is one.
  void ChooseArchitecture(const GgufArchitecture& architecture) {
    ModelConfig& c = model_.config;
    if (architecture.with_biases == architecture.architecture) return;
    // Biases beside a window are not known; one that no text reaches is none.
    if (c.sliding_window != 0 && c.sliding_window < c.context_length) return;
    for (uint32_t i = 0; i < c.n_layers; ++i) {
      const std::string at = absl::StrCat("blk.", i, ".");
      GgufTensorTaker look(file_, &model_);
      const bool any = ReadBiases(look, NamesOf(look, file_, c, i), at, true).any();
      // One of another shape is found again when it is taken.
      if (!any && look.status().ok()) continue;
      c.architecture = architecture.with_biases;
      c.sliding_window = 0;
      return;
    }
  }

  LayerSource Read(uint32_t i) {
    const ModelConfig& c = model_.config;
    const std::string at = absl::StrCat("blk.", i, ".");
    const LayerNames names = NamesOf(take_, file_, c, i);
    LayerSource layer;
    layer.attention_norm = take_.Vector(at + "attn_norm.weight", c.dim);
    if (c.traits().qk_norm) {
      layer.q_norm = take_.Vector(at + "attn_q_norm.weight", c.head_dim);
      layer.k_norm = take_.Vector(at + "attn_k_norm.weight", c.head_dim);
    }
    layer.wq = take_.Matrix(With(names.q, ".weight"), c.dim, pairs_);
    layer.wk = take_.Matrix(With(names.k, ".weight"), c.dim, pairs_);
    layer.wv = take_.Matrix(With(names.v, ".weight"), c.dim);
    layer.wo = take_.Matrix(With(names.o, ".weight"), c.q_dim());
    layer.ffn_norm = take_.Vector(at + "ffn_norm.weight", c.dim);
    layer.w1 = take_.Matrix(With(names.gate, ".weight"), c.dim);
    layer.w2 = take_.Matrix(With(names.down, ".weight"), c.hidden_dim);
    layer.w3 = take_.Matrix(With(names.up, ".weight"), c.dim);
    // Last: what a file lacks is made, and by now the matrices have shown that the sizes are true.
    if (c.traits().qkv_bias) AddBiases(names, at, &layer);
    return layer;
  }

 private:
  // Those that a file lacks are zeros.
  void AddBiases(const LayerNames& names, const std::string& at, LayerSource* layer) {
    const ModelConfig& c = model_.config;
    const LayerBiases b = ReadBiases(take_, names, at, c.traits().output_bias);
    layer->bq = take_.KeepBias(b.q, c.q_dim(), pairs_);
    layer->bk = take_.KeepBias(b.k, c.kv_dim(), pairs_);
    layer->bv = take_.KeepBias(b.v, c.kv_dim(), false);
    if (!c.traits().output_bias) return;
    layer->bo = take_.KeepBias(b.o, c.dim, false);
    layer->b1 = take_.KeepBias(b.gate, c.hidden_dim, false);
    layer->b3 = take_.KeepBias(b.up, c.hidden_dim, false);
    layer->b2 = take_.KeepBias(b.down, c.dim, false);
  }

  const GgufFile& file_;
  const bool pairs_;
  GgufTensorTaker& take_;
  ModelSource& model_;
};

}  // namespace

absl::StatusOr<ModelSource> ImportGguf(const GgufFile& file) {
  absl::StatusOr<GgufConfig> read = ReadGgufConfig(file);
  if (!read.ok()) return read.status();
  ModelSource model;
  model.config = read->config;
  model.rope_inv_freq = std::move(read->rope_inv_freq);
  model.notes = std::move(read->notes);
  const ModelConfig& c = model.config;

  GgufTensorTaker take(file, &model);
  take.Skip("rope_freqs.weight");
  model.embedding = take.Matrix({"token_embd.weight", c.vocab_size}, c.dim);
  LayerReader layers(file, read->architecture->interleaved_rope, &take, &model);
  layers.ChooseArchitecture(*read->architecture);
  for (uint32_t i = 0; i < c.n_layers && take.status().ok(); ++i)
    model.layers.push_back(layers.Read(i));
  model.final_norm = take.Vector("output_norm.weight", c.dim);
  if (!c.tied_classifier) model.classifier = take.Matrix({"output.weight", c.vocab_size}, c.dim);
  if (absl::Status s = take.Finish(); !s.ok()) return s;
  return model;
}

}  // namespace tvl
