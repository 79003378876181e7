// Operations on one row of a tile matrix or of the KV cache: next to no arithmetic, bound by the
// lines that they touch.
#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "backends/neon_handwritten/neon_handwritten.h"
#include "core/float16.h"
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

#define TVL_DEFINE(W)                                                                       \
  template <>                                                                               \
  void NeonHandwritten::EmbedRow<W>(const TileMatrix& w, size_t row, float* out) noexcept { \
    GatherWeights<W>(w, row, out);                                                          \
  }                                                                                         \
  static_assert(true)
TVL_DEFINE(WeightType::kBF16);
TVL_DEFINE(WeightType::kQ8);
TVL_DEFINE(WeightType::kQ4);
TVL_DEFINE(WeightType::kQ4M);
TVL_DEFINE(WeightType::kQ4K);
TVL_DEFINE(WeightType::kQ5K);
TVL_DEFINE(WeightType::kQ6K);
#undef TVL_DEFINE

void NeonHandwritten::RoundToF16(const float* x, size_t n, uint16_t* out) noexcept {
  size_t i = 0;
  for (; i + 4 <= n; i += 4)
    vst1_u16(out + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(x + i))));
  for (; i < n; ++i) out[i] = F32ToF16(x[i]);
}

void NeonHandwritten::ScaleByF16(const float* x, const uint16_t* scales, size_t n,
                                 float* y) noexcept {
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const float32x4_t scale = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(scales + i)));
    vst1q_f32(y + i, vmulq_f32(vld1q_f32(x + i), scale));
  }
  for (; i < n; ++i) y[i] = x[i] * F16ToF32(scales[i]);
}

}  // namespace tvl
