// Operations on one row or column of a tile matrix: no arithmetic, bound by the lines that they
// touch.
#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "backends/neon_handwritten/neon_handwritten.h"
#include "core/tile.h"
#include "core/tile_weight.h"

namespace tvl {
namespace {

// out[c] = element `row` of each group of 16. A row takes 4 bytes of every 64 (f32, bf16) or 2 of
// every 32 (f16), so gathering by register would only load what is not wanted.
template <typename T>
void GatherRow(const std::byte* panel, size_t row, size_t cols, float* out) {
  const T* element = reinterpret_cast<const T*>(panel) + row;
  for (size_t c = 0; c < cols; ++c) out[c] = static_cast<float>(element[c * kPanelRows]);
}

// What a plain conversion does not widen.
template <WeightType W>
void GatherWeights(const TileMatrix& w, size_t row, float* out) {
  const std::byte* panel = w.Panel(row / kPanelRows);
  for (size_t c = 0; c < w.cols; ++c) out[c] = PanelWeight<W>(panel, row % kPanelRows, c);
}

}  // namespace

template <>
void NeonHandwritten::EmbedRow<WeightType::kF32>(const TileMatrix& w, size_t row,
                                                 float* out) noexcept {
  GatherRow<float>(w.Panel(row / kPanelRows), row % kPanelRows, w.cols, out);
}

template <>
void NeonHandwritten::EmbedRow<WeightType::kF16>(const TileMatrix& w, size_t row,
                                                 float* out) noexcept {
  GatherRow<float16_t>(w.Panel(row / kPanelRows), row % kPanelRows, w.cols, out);
}

template <>
void NeonHandwritten::EmbedRow<WeightType::kBF16>(const TileMatrix& w, size_t row,
                                                  float* out) noexcept {
  GatherWeights<WeightType::kBF16>(w, row, out);
}

template <>
void NeonHandwritten::EmbedRow<WeightType::kQ8>(const TileMatrix& w, size_t row,
                                                float* out) noexcept {
  GatherWeights<WeightType::kQ8>(w, row, out);
}

template <>
void NeonHandwritten::EmbedRow<WeightType::kQ4>(const TileMatrix& w, size_t row,
                                                float* out) noexcept {
  GatherWeights<WeightType::kQ4>(w, row, out);
}

template <>
void NeonHandwritten::EmbedRow<WeightType::kQ4M>(const TileMatrix& w, size_t row,
                                                 float* out) noexcept {
  GatherWeights<WeightType::kQ4M>(w, row, out);
}

void NeonHandwritten::AppendKey(const float* k, size_t position, const KvSlot& slot) noexcept {
  float* element =
      slot.keys + position / kPanelRows * slot.key_panel_stride() + position % kPanelRows;
  for (size_t d = 0; d < slot.head_dim; ++d) element[d * kPanelRows] = k[d];
}

void NeonHandwritten::AppendValue(const float* v, size_t position, const KvSlot& slot) noexcept {
  const size_t ahead = position % kDotChains == 0 ? kDotChains - 1 : 0;  // columns to zero
  const float32x4_t zero = vdupq_n_f32(0);
  size_t d = 0;
  // Four dimensions of a position are one register of one line.
  for (; d + 4 <= slot.head_dim; d += 4) {
    float* line = slot.values + d / kPanelRows * slot.value_panel_stride() +
                  TileIndexF32(d % kPanelRows, position);
    vst1q_f32(line, vld1q_f32(v + d));
    for (size_t i = 1; i <= ahead; ++i) vst1q_f32(line + i * kPanelRows, zero);
  }
  for (; d < slot.head_dim; ++d) {
    float* line = slot.values + d / kPanelRows * slot.value_panel_stride() +
                  TileIndexF32(d % kPanelRows, position);
    *line = v[d];
    for (size_t i = 1; i <= ahead; ++i) line[i * kPanelRows] = 0;
  }
}

}  // namespace tvl
