// A model as an importer finds it: what is written to a .tvl file.
#ifndef TVL_MODELS_MODEL_SOURCE_H_
#define TVL_MODELS_MODEL_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/model_config.h"
#include "core/tile.h"
#include "models/quantize.h"
#include "models/quantize_k.h"

namespace tvl {

// A matrix wherever an importer finds it: row-major f32 numbers, or rows that are decoded one at a
// time while the file is written, so that a quantised model never lies in memory as a whole. Row r
// of the result is row SourceRow(r) of the source.
struct MatrixSource {
  const float* data = nullptr;  // (rows, cols), contiguous; null where there is decode_row
  uint32_t rows = 0;
  uint32_t cols = 0;
  // When not 0, the rows of each head of so many dimensions are reordered from RoPE pairs (2i, 2i +
  // 1) to (i, i + d / 2), where d is the head's or, when that is not 0, the leading dimensions that
  // RoPE turns.
  uint32_t interleaved_rope_head_dim = 0;
  uint32_t interleaved_rope_dims = 0;
  // Writes a row of the source, `cols` numbers, to `out`. Called from several threads at once.
  std::function<void(size_t source_row, float* out)> decode_row = nullptr;
  // Where the source's rows are whole blocks that a quantised type can store as they are, without
  // any loss: gives one, of inputs 32 * block and on. Called from several threads at once.
  std::function<QuantizedBlock(size_t source_row, size_t block)> block = nullptr;
  // The same of q4k, q5k and q6k: writes inputs 256 * superblock and on.
  std::function<void(size_t source_row, size_t superblock, QuantizedSuperblock* out)> superblock =
      nullptr;
  WeightType block_type = WeightType::kQ8;  // the type that can
  // What the source calls its type, for reports, and the type of the file that loses least of it
  // among those of about its size.
  const char* source_type = "f32";
  WeightType kept_as = WeightType::kF32;

  // Whether every weight stays the same number.
  bool IsExactIn(WeightType type) const {
    if (IsQuantized(type)) return HasBlocksOf(type);
    return type == WeightType::kF32 || type == kept_as;
  }
  bool HasBlocksOf(WeightType type) const {
    return (block != nullptr || superblock != nullptr) && block_type == type;
  }

  // REQUIRES: data is not null.
  const float* Row(size_t r) const { return data + SourceRow(r) * cols; }
  // Row r where it lies, or decoded into `buffer` (cols).
  const float* Row(size_t r, float* buffer) const {
    if (data != nullptr) return Row(r);
    decode_row(SourceRow(r), buffer);
    return buffer;
  }
  size_t SourceRow(size_t r) const {
    if (interleaved_rope_head_dim == 0) return r;
    const size_t head = interleaved_rope_head_dim, i = r % head;
    const size_t d = interleaved_rope_dims == 0 ? head : interleaved_rope_dims, half = d / 2;
    if (i >= d) return r;
    return r - i + (i < half ? 2 * i : 2 * (i - half) + 1);
  }
};

struct LayerSource {
  const float* attention_norm = nullptr;  // (dim)
  // Where the architecture has them (core/model_view.h), in the order of the .tvl file's rows.
  const float* bq = nullptr;
  const float* bk = nullptr;
  const float* bv = nullptr;
  const float* bo = nullptr;
  const float* b1 = nullptr;
  const float* b2 = nullptr;
  const float* b3 = nullptr;
  const float* q_norm = nullptr;
  const float* k_norm = nullptr;
  MatrixSource wq, wk, wv, wo;
  const float* ffn_norm = nullptr;  // (dim)
  MatrixSource w1, w2, w3;
};

// A whole model in its source's memory, which must outlive the writing. Shapes are those of the
// configuration.
struct ModelSource {
  ModelConfig config;
  std::vector<float> rope_inv_freq;  // (rope_dims / 2)
  MatrixSource embedding;
  std::vector<LayerSource> layers;
  const float* final_norm = nullptr;  // (dim)
  MatrixSource classifier;            // unused when tied
  // What the vectors above point to where the source has them in another type than f32. Moving the
  // model moves no number.
  std::vector<std::vector<float>> decoded_vectors;
  // What of the source was left out, or read in one of several ways, in sentences for the report.
  std::vector<std::string> notes;
};

}  // namespace tvl

#endif  // TVL_MODELS_MODEL_SOURCE_H_
