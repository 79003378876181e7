#include "models/import/gguf.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "models/import/gguf_config.h"
#include "models/import/gguf_dequantize.h"

namespace tvl {
namespace {

MatrixSource MakeMatrix(const GgufTensor& tensor) {
  const GgufTypeInfo& info = *tensor.type;
  const std::byte* data = tensor.data.data();
  MatrixSource m = {.rows = static_cast<uint32_t>(tensor.rows()),
                    .cols = static_cast<uint32_t>(tensor.cols()),
                    .source_type = info.name,
                    .kept_as = info.kept_as};
  if (info.type == GgufTensorType::kF32) {
    m.data = reinterpret_cast<const float*>(data);
    return m;
  }
  const GgufTensorType type = info.type;
  const size_t cols = m.cols, row_bytes = info.RowBytes(cols);
  m.decode_row = [=](size_t row, float* out) {
    DequantizeGgufRow(type, data + row * row_bytes, cols, out);
  };
  if (!IsQuantized(info.kept_as) || info.keeping == GgufKeeping::kRequants) return m;
  const GgufTypeInfo* kind = &info;  // of a table that stays
  m.block = [=](size_t row, size_t block) {
    return TakeGgufBlock(*kind, data + row * row_bytes, block);
  };
  m.block_type = info.kept_as;
  m.blocks_are_exact = info.keeping == GgufKeeping::kExact;
  return m;
}

// Takes tensors by name; the first error stays. At the end every tensor must have been taken.
class TensorTaker {
 public:
  TensorTaker(const GgufFile& file, ModelSource* model)
      : file_(file), model_(*model), taken_(file.tensors.size()) {}

  MatrixSource Matrix(const std::string& name, uint32_t rows, uint32_t cols,
                      bool interleaved_rope = false) {
    const GgufTensor* tensor = Take(name, rows, cols);
    if (tensor == nullptr) return {};
    MatrixSource matrix = MakeMatrix(*tensor);
    if (interleaved_rope) {
      matrix.interleaved_rope_head_dim = model_.config.head_dim;
      matrix.interleaved_rope_dims = model_.config.rope_dims;
    }
    return matrix;
  }
  // Where it lies, or decoded.
  const float* Vector(const std::string& name, uint32_t size) {
    const GgufTensor* tensor = Take(name, 1, size);
    if (tensor == nullptr) return nullptr;
    if (tensor->type->type == GgufTensorType::kF32)
      return reinterpret_cast<const float*>(tensor->data.data());
    model_.decoded_vectors.emplace_back(size);
    DequantizeGgufRow(tensor->type->type, tensor->data.data(), size,
                      model_.decoded_vectors.back().data());
    return model_.decoded_vectors.back().data();
  }
  // One that has been used elsewhere.
  void Skip(const std::string& name) { Mark(file_.FindTensor(name)); }

  absl::Status Finish() const {
    if (!status_.ok()) return status_;
    for (size_t i = 0; i < taken_.size(); ++i) {
      if (taken_[i]) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("tensor ", std::string(file_.tensors[i].name),
                       ": expected only tensors that the "
                       "architecture is known to have, found one that this version cannot use",
                       Hint(i)));
    }
    return absl::OkStatus();
  }

 private:
  const GgufTensor* Take(const std::string& name, uint64_t rows, uint64_t cols) {
    if (!status_.ok()) return nullptr;
    const GgufTensor* tensor = file_.FindTensor(name);
    if (tensor == nullptr) {
      status_ = absl::InvalidArgumentError(absl::StrCat("tensor ", name, ": expected ",
                                                        ShapeText(rows, cols),
                                                        " by the metadata, found no such tensor"));
      return nullptr;
    }
    if (tensor->n_dims > 2 || tensor->rows() != rows || tensor->cols() != cols) {
      status_ = absl::InvalidArgumentError(
          absl::StrCat("tensor ", name, ": expected ", ShapeText(rows, cols),
                       " by the metadata, found ", ShapeText(tensor->rows(), tensor->cols()),
                       tensor->n_dims > 2 ? " in more dimensions" : ""));
      return nullptr;
    }
    Mark(tensor);
    return tensor;
  }
  void Mark(const GgufTensor* tensor) {
    if (tensor != nullptr) taken_[static_cast<size_t>(tensor - file_.tensors.data())] = true;
  }
  static std::string ShapeText(uint64_t rows, uint64_t cols) {
    if (rows == 1) return absl::StrCat(cols, " numbers");
    return absl::StrCat(rows, " rows of ", cols);
  }
  const char* Hint(size_t i) const {
    const std::string_view name = file_.tensors[i].name;
    const auto has = [&](std::string_view part) { return name.find(part) != name.npos; };
    if (has(".bias")) return ", a bias";
    if (has("_exps.") || has("_gate_inp.") || has("_shexp.")) return ", of a mixture of experts";
    if (has("_q_norm.") || has("_k_norm.")) return ", a norm of queries or keys";
    if (has("_norm.")) return ", a further norm";
    if (has("rope_factors_")) return ", of a stretched RoPE";
    if (name.starts_with("blk.")) return "; are there more layers than block_count says?";
    return "";
  }

  const GgufFile& file_;
  ModelSource& model_;
  std::vector<bool> taken_;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<ModelSource> ImportGguf(const GgufFile& file) {
  absl::StatusOr<GgufConfig> read = ReadGgufConfig(file);
  if (!read.ok()) return read.status();
  ModelSource model;
  model.config = read->config;
  model.rope_inv_freq = std::move(read->rope_inv_freq);
  const ModelConfig& c = model.config;
  const bool pairs = read->architecture->interleaved_rope;

  TensorTaker take(file, &model);
  take.Skip("rope_freqs.weight");
  model.embedding = take.Matrix("token_embd.weight", c.vocab_size, c.dim);
  for (uint32_t i = 0; i < c.n_layers; ++i) {
    const std::string at = absl::StrCat("blk.", i, ".");
    LayerSource layer;
    layer.attention_norm = take.Vector(at + "attn_norm.weight", c.dim);
    if (c.traits().qkv_bias) {
      layer.bq = take.Vector(at + "attn_q.bias", c.q_dim());
      layer.bk = take.Vector(at + "attn_k.bias", c.kv_dim());
      layer.bv = take.Vector(at + "attn_v.bias", c.kv_dim());
    }
    if (c.traits().qk_norm) {
      layer.q_norm = take.Vector(at + "attn_q_norm.weight", c.head_dim);
      layer.k_norm = take.Vector(at + "attn_k_norm.weight", c.head_dim);
    }
    layer.wq = take.Matrix(at + "attn_q.weight", c.q_dim(), c.dim, pairs);
    layer.wk = take.Matrix(at + "attn_k.weight", c.kv_dim(), c.dim, pairs);
    layer.wv = take.Matrix(at + "attn_v.weight", c.kv_dim(), c.dim);
    layer.wo = take.Matrix(at + "attn_output.weight", c.dim, c.q_dim());
    layer.ffn_norm = take.Vector(at + "ffn_norm.weight", c.dim);
    layer.w1 = take.Matrix(at + "ffn_gate.weight", c.hidden_dim, c.dim);
    layer.w2 = take.Matrix(at + "ffn_down.weight", c.dim, c.hidden_dim);
    layer.w3 = take.Matrix(at + "ffn_up.weight", c.hidden_dim, c.dim);
    model.layers.push_back(std::move(layer));
  }
  model.final_norm = take.Vector("output_norm.weight", c.dim);
  if (!c.tied_classifier) model.classifier = take.Matrix("output.weight", c.vocab_size, c.dim);
  if (absl::Status s = take.Finish(); !s.ok()) return s;
  return model;
}

}  // namespace tvl
