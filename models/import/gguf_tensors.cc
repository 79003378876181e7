#include "models/import/gguf_tensors.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "core/tile.h"
#include "models/import/gguf_dequantize.h"
#include "models/quantize_k.h"

namespace tvl {
namespace {

MatrixSource MakeMatrix(const GgufTensor& tensor, uint32_t first, uint32_t rows) {
  const GgufTypeInfo& info = *tensor.type;
  const size_t cols = tensor.cols(), row_bytes = info.RowBytes(cols);
  const std::byte* data = tensor.data.data() + first * row_bytes;
  MatrixSource m = {.rows = rows,
                    .cols = static_cast<uint32_t>(cols),
                    .source_type = info.name,
                    .kept_as = info.kept_as};
  if (info.type == GgufTensorType::kF32) {
    m.data = reinterpret_cast<const float*>(data);
    return m;
  }
  const GgufTensorType type = info.type;
  m.decode_row = [=](size_t row, float* out) {
    DequantizeGgufRow(type, data + row * row_bytes, cols, out);
  };
  if (!IsQuantized(info.kept_as) || info.keeping == GgufKeeping::kRequants) return m;
  const GgufTypeInfo* kind = &info;  // of a table that stays
  if (IsKQuant(info.kept_as)) {
    m.superblock = [=](size_t row, size_t superblock, QuantizedSuperblock* out) {
      TakeGgufSuperblock(*kind, data + row * row_bytes, superblock, out);
    };
  } else {
    m.block = [=](size_t row, size_t block) {
      return TakeGgufBlock(*kind, data + row * row_bytes, block);
    };
  }
  m.block_type = info.kept_as;
  return m;
}

void InterleaveRope(const ModelConfig& config, MatrixSource* m) {
  m->interleaved_rope_head_dim = config.head_dim;
  m->interleaved_rope_dims = config.rope_dims;
}

std::vector<float> Decoded(const GgufTensor& tensor, uint64_t row) {
  std::vector<float> numbers(tensor.cols());
  const size_t row_bytes = tensor.type->RowBytes(tensor.cols());
  DequantizeGgufRow(tensor.type->type, tensor.data.data() + row * row_bytes, tensor.cols(),
                    numbers.data());
  return numbers;
}

bool IsBiasOfZeros(const GgufTensor& tensor) {
  constexpr uint64_t kLongest = uint64_t{1} << 22;  // of any vector of a model
  if (!tensor.name.ends_with(".bias") || tensor.cols() > kLongest) return false;
  for (uint64_t row = 0; row < tensor.rows(); ++row) {
    const std::vector<float> numbers = Decoded(tensor, row);
    if (std::ranges::any_of(numbers, [](float number) { return number != 0; })) return false;
  }
  return true;
}

std::string ShapeText(uint64_t rows, uint64_t cols) {
  if (rows == 1) return absl::StrCat(cols, " numbers");
  return absl::StrCat(rows, " rows of ", cols);
}

// What a tensor that has not been taken may be for.
const char* Hint(std::string_view name) {
  const auto has = [&](std::string_view part) { return name.find(part) != name.npos; };
  if (has(".bias")) return ", a bias";
  if (has("_exps.") || has("_gate_inp.") || has("_shexp.")) return ", of a mixture of experts";
  if (has("_q_norm.") || has("_k_norm.")) return ", a norm of queries or keys";
  if (has("_norm.")) return ", a further norm";
  if (has("rope_factors_")) return ", of a stretched RoPE";
  if (name.starts_with("blk.")) return "; are there more layers than block_count says?";
  return "";
}

}  // namespace

GgufTensorTaker::GgufTensorTaker(const GgufFile& file, ModelSource* model)
    : file_(file), model_(*model), taken_(file.tensors.size()) {}

MatrixSource GgufTensorTaker::Matrix(const GgufRows& rows, uint32_t cols, bool interleaved_rope) {
  const GgufTensor* tensor = Find(rows.tensor, rows.of == 0 ? rows.rows : rows.of, cols);
  if (tensor == nullptr) return {};
  MatrixSource matrix = MakeMatrix(*tensor, rows.first, rows.rows);
  if (interleaved_rope) InterleaveRope(model_.config, &matrix);
  return matrix;
}

const float* GgufTensorTaker::Vector(const std::string& name, uint32_t size) {
  const GgufTensor* tensor = Find(name, 1, size);
  if (tensor == nullptr) return nullptr;
  if (tensor->type->type == GgufTensorType::kF32)
    return reinterpret_cast<const float*>(tensor->data.data());
  model_.decoded_vectors.push_back(Decoded(*tensor, 0));
  return model_.decoded_vectors.back().data();
}

std::vector<float> GgufTensorTaker::Bias(const GgufRows& rows) {
  if (!status_.ok() || !Has(rows.tensor)) return {};
  const GgufTensor* tensor = Find(rows.tensor, 1, rows.of == 0 ? rows.rows : rows.of);
  if (tensor == nullptr) return {};
  const std::vector<float> all = Decoded(*tensor, 0);
  return {all.begin() + rows.first, all.begin() + rows.first + rows.rows};
}

const float* GgufTensorTaker::KeepBias(const std::vector<float>& bias, uint32_t size,
                                       bool interleaved_rope) {
  if (!status_.ok()) return nullptr;
  std::vector<float>& kept = model_.decoded_vectors.emplace_back(size);
  MatrixSource order;
  if (interleaved_rope) InterleaveRope(model_.config, &order);
  for (size_t i = 0; i < bias.size(); ++i) kept[i] = bias[order.SourceRow(i)];
  return kept.data();
}

absl::Status GgufTensorTaker::Finish() const {
  if (!status_.ok()) return status_;
  for (size_t i = 0; i < taken_.size(); ++i) {
    if (taken_[i] || IsBiasOfZeros(file_.tensors[i])) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", std::string(file_.tensors[i].name),
                     ": expected only tensors that the "
                     "architecture is known to have, found one that this version cannot use",
                     Hint(file_.tensors[i].name)));
  }
  return absl::OkStatus();
}

// Dimensions of 1 at the end of a shape say nothing.
const GgufTensor* GgufTensorTaker::Find(const std::string& name, uint64_t rows, uint64_t cols) {
  if (!status_.ok()) return nullptr;
  const GgufTensor* tensor = file_.FindTensor(name);
  if (tensor == nullptr) {
    status_ = absl::InvalidArgumentError(absl::StrCat("tensor ", name, ": expected ",
                                                      ShapeText(rows, cols),
                                                      " by the metadata, found no such tensor"));
    return nullptr;
  }
  const bool deep = tensor->shape[2] != 1 || tensor->shape[3] != 1;
  if (deep || tensor->rows() != rows || tensor->cols() != cols) {
    status_ = absl::InvalidArgumentError(absl::StrCat(
        "tensor ", name, ": expected ", ShapeText(rows, cols), " by the metadata, found ",
        ShapeText(tensor->rows(), tensor->cols()), deep ? " in more dimensions" : ""));
    return nullptr;
  }
  Mark(tensor);
  return tensor;
}

void GgufTensorTaker::Mark(const GgufTensor* tensor) {
  if (tensor != nullptr) taken_[static_cast<size_t>(tensor - file_.tensors.data())] = true;
}

}  // namespace tvl
