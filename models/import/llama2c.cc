#include "models/import/llama2c.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/canonical_math.h"
#include "core/float16.h"
#include "core/model_config.h"
#include "core/tile.h"
#include "models/import/llama2c_header.h"
#include "models/quantize.h"

namespace tvl {
namespace {

// No product of these overflows: ValidateModelConfig bounds what they are made of.
uint64_t Norms(const ModelConfig& c) { return uint64_t{2} * c.n_layers * c.dim + c.dim; }

uint64_t Weights(const ModelConfig& c) {
  const uint64_t dim = c.dim, kv = c.kv_dim(), hidden = c.hidden_dim, vocab = c.vocab_size;
  return vocab * dim * (c.tied_classifier ? 1 : 2) +
         c.n_layers * (2 * dim * dim + 2 * kv * dim + 3 * dim * hidden);
}

// Version 0 has cosines and sines, which nobody needs.
uint64_t RopeTables(const ModelConfig& c) { return uint64_t{c.context_length} * c.head_dim; }

uint64_t ExpectedBytes(const Llama2cHeader& h) {
  const ModelConfig& c = h.config;
  const uint64_t norms = Norms(c) * sizeof(float), weights = Weights(c);
  switch (h.version) {
    case 0:
      return h.bytes + norms + (weights + RopeTables(c)) * sizeof(float);
    case 1:
      return h.bytes + norms + weights * sizeof(float);
    default:
      return h.bytes + norms + weights + weights / h.group_size * sizeof(float);
  }
}

// Groups run through a matrix from its first number to its last, whatever its rows: each matrix is
// a whole number of them. (llama2.c's own product wants them to end with the rows.)
absl::Status CheckGroups(const Llama2cHeader& h) {
  const ModelConfig& c = h.config;
  const struct {
    const char* name;
    uint64_t rows;
  } matrices[] = {{"token_embedding", c.vocab_size},
                  {"wq", c.q_dim()},
                  {"wk", c.kv_dim()},
                  {"w1", c.hidden_dim}};
  for (const auto& m : matrices) {
    const uint64_t numbers = m.rows * c.dim;
    if (numbers % h.group_size == 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("header field group_size: expected a divisor of the ", numbers, " numbers of ",
                     m.name, ", found ", h.group_size));
  }
  return absl::OkStatus();
}

// A matrix of version 2 in the checkpoint: int8 numbers, and after the last of them the scales.
struct QuantizedMatrix {
  const std::byte* quants;
  const std::byte* scales;  // f32 at any address
  uint32_t cols;
  uint32_t group_size;

  float Scale(uint64_t group) const {
    float scale;
    std::memcpy(&scale, scales + group * sizeof(scale), sizeof(scale));
    return scale;
  }

  void DecodeRow(size_t row, float* out) const {
    const uint64_t begin = uint64_t{row} * cols, end = begin + cols;
    for (uint64_t i = begin; i < end;) {
      const uint64_t group = i / group_size;
      const uint64_t group_end = std::min(end, (group + 1) * group_size);
      const float scale = Scale(group);
      for (; i < group_end; ++i) {
        *out++ = static_cast<float>(std::to_integer<int8_t>(quants[i])) * scale;
      }
    }
  }

  // Whether no group ends within a block, or with another row.
  bool HasBlocks() const { return group_size % kQuantBlock == 0 && cols % group_size == 0; }

  // With the quants as they are, and the scale rounded. REQUIRES: HasBlocks().
  QuantizedBlock Block(size_t row, size_t block) const {
    const uint64_t begin = uint64_t{row} * cols + block * kQuantBlock;
    QuantizedBlock out = {.quants = {}, .scale = F32ToF16(Scale(begin / group_size)), .minimum = 0};
    std::memcpy(out.quants, quants + begin, sizeof(out.quants));
    return out;
  }
};

// Walks the checkpoint, one tensor after another. REQUIRES: the file has the expected size.
class Cursor {
 public:
  Cursor(std::span<const std::byte> file, const Llama2cHeader& header)
      : at_(file.data() + header.bytes), group_size_(header.group_size) {}

  const float* Floats(uint64_t count) {
    return reinterpret_cast<const float*>(Take(count * sizeof(float)));
  }

  // f32, or quantised where there is a group size. `name` is for errors.
  MatrixSource Matrix(const std::string& name, uint32_t rows, uint32_t cols,
                      uint32_t rope_head_dim = 0) {
    MatrixSource matrix = {.rows = rows, .cols = cols, .interleaved_rope_head_dim = rope_head_dim};
    const uint64_t numbers = uint64_t{rows} * cols;
    if (group_size_ == 0) {
      matrix.data = Floats(numbers);
      return matrix;
    }
    const uint64_t groups = numbers / group_size_;
    const std::byte* quants = Take(numbers);
    const QuantizedMatrix quantized = {quants, Take(groups * sizeof(float)), cols, group_size_};
    const float largest_scale = CheckScales(name, quantized, groups);
    matrix.decode_row = [quantized](size_t row, float* out) { quantized.DecodeRow(row, out); };
    if (quantized.HasBlocks() && std::isfinite(F16ToF32(F32ToF16(largest_scale)))) {
      matrix.block = [quantized](size_t row, size_t block) { return quantized.Block(row, block); };
      matrix.block_type = WeightType::kQ8;
    }
    return matrix;
  }

  // What was wrong with the first tensor that had something wrong.
  const absl::Status& status() const { return status_; }

 private:
  const std::byte* Take(uint64_t bytes) { return std::exchange(at_, at_ + bytes); }

  // Returns the largest. Where the scales are not where this version has them, as in drafts of
  // llama2.c's exporter, this is what shows it.
  float CheckScales(const std::string& name, const QuantizedMatrix& matrix, uint64_t groups) {
    float largest = 0;
    if (!status_.ok()) return largest;
    for (uint64_t i = 0; i < groups; ++i) {
      const float scale = matrix.Scale(i);
      largest = std::max(largest, scale);
      if (std::isfinite(scale) && !std::signbit(scale)) continue;
      status_ = absl::InvalidArgumentError(
          absl::StrCat("tensor ", name, ": scale ", i, " of ", groups,
                       ": expected a finite number that is not negative, found ", scale));
      break;
    }
    return largest;
  }

  const std::byte* at_;
  const uint32_t group_size_;
  absl::Status status_;
};

// The tensors of one kind for all layers follow each other, in every version.
class TensorReader {
 public:
  TensorReader(Cursor* cursor, ModelSource* model) : cursor_(*cursor), model_(*model) {
    model_.layers.resize(c().n_layers);
  }

  void AttentionNorms() {
    for (LayerSource& l : model_.layers) l.attention_norm = cursor_.Floats(c().dim);
  }
  void FfnNorms() {
    for (LayerSource& l : model_.layers) l.ffn_norm = cursor_.Floats(c().dim);
  }
  void FinalNorm() { model_.final_norm = cursor_.Floats(c().dim); }
  void Embedding() {
    model_.embedding = cursor_.Matrix("token_embedding", c().vocab_size, c().dim);
  }
  void Classifier() {
    if (c().tied_classifier) return;
    model_.classifier = cursor_.Matrix("classifier", c().vocab_size, c().dim);
  }
  void Attention() {
    Each("wq", &LayerSource::wq, c().q_dim(), c().dim, c().head_dim);
    Each("wk", &LayerSource::wk, c().kv_dim(), c().dim, c().head_dim);
    Each("wv", &LayerSource::wv, c().kv_dim(), c().dim);
    Each("wo", &LayerSource::wo, c().dim, c().q_dim());
  }
  void FeedForward() {
    Each("w1", &LayerSource::w1, c().hidden_dim, c().dim);
    Each("w2", &LayerSource::w2, c().dim, c().hidden_dim);
    Each("w3", &LayerSource::w3, c().hidden_dim, c().dim);
  }

 private:
  const ModelConfig& c() const { return model_.config; }

  void Each(const char* name, MatrixSource LayerSource::*matrix, uint32_t rows, uint32_t cols,
            uint32_t rope_head_dim = 0) {
    for (size_t i = 0; i < model_.layers.size(); ++i) {
      model_.layers[i].*matrix =
          cursor_.Matrix(absl::StrCat("layers.", i, ".", name), rows, cols, rope_head_dim);
    }
  }

  Cursor& cursor_;
  ModelSource& model_;
};

void ReadVersion0(TensorReader read, Cursor* cursor, const ModelConfig& config) {
  read.Embedding();
  read.AttentionNorms();
  read.Attention();
  read.FfnNorms();
  read.FeedForward();
  read.FinalNorm();
  cursor->Floats(RopeTables(config));
  read.Classifier();
}

// Versions 1 and 2: what is never quantised comes first.
void ReadNormsFirst(TensorReader read) {
  read.AttentionNorms();
  read.FfnNorms();
  read.FinalNorm();
  read.Embedding();
  read.Attention();
  read.FeedForward();
  read.Classifier();
}

}  // namespace

absl::StatusOr<ModelSource> ImportLlama2c(std::span<const std::byte> file) {
  const absl::StatusOr<Llama2cHeader> header = ParseLlama2cHeader(file);
  if (!header.ok()) return header.status();
  if (header->version == 2) {
    if (absl::Status s = CheckGroups(*header); !s.ok()) return s;
  }
  const uint64_t expected = ExpectedBytes(*header);
  if (file.size() != expected) {
    return absl::InvalidArgumentError(
        absl::StrCat("file size: expected ", expected, " bytes by the header, found ", file.size(),
                     file.size() < expected ? "; the file is truncated" : ""));
  }
  ModelSource model;
  model.config = header->config;
  const uint32_t rope_dims = model.config.rope_dims;
  for (uint32_t i = 0; i < rope_dims / 2; ++i) {
    model.rope_inv_freq.push_back(static_cast<float>(CanonicalPow(
        kLlama2cRopeBase, -2.0 * static_cast<double>(i) / static_cast<double>(rope_dims))));
  }
  Cursor cursor(file, *header);
  const TensorReader read(&cursor, &model);
  if (header->version == 0) {
    ReadVersion0(read, &cursor, model.config);
  } else {
    ReadNormsFirst(read);
  }
  if (!cursor.status().ok()) return cursor.status();
  return model;
}

}  // namespace tvl
