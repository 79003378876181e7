#include <arm_neon.h>

#include <cstddef>

#include "backends/neon_handwritten/gemm_block.h"
#include "backends/neon_handwritten/neon_handwritten.h"

namespace tvl {

// A block is widened once for up to 24 tokens: in every pass of 6, FCVTL would cost a Neoverse N1 8
// cycles of one pipe beside the 12 of the FMLA. f16 lines hold the rows of k and then those of k +
// 1, so widening keeps the order.
template <>
void NeonHandwritten::Gemm<WeightType::kF16>(const TileMatrix& w, PanelRange panels,
                                             const FloatRows& x, size_t tokens, float* y,
                                             size_t y_stride) noexcept {
  if (tokens == 1) return Gemv<WeightType::kF16>(w, panels, x, y);
  alignas(kLineBytes) float wide[neon::kBlockCols * kPanelRows];
  const auto widen = [&wide](const std::byte* block, size_t cols) {
    const float16_t* h = reinterpret_cast<const float16_t*>(block);
    for (size_t i = 0; i < cols * kPanelRows; i += 8) {
      const float16x8_t eight = vld1q_f16(h + i);
      vst1q_f32(wide + i, vcvt_f32_f16(vget_low_f16(eight)));
      vst1q_f32(wide + i + 4, vcvt_high_f32_f16(eight));
    }
    return static_cast<const float*>(wide);
  };
  neon::GemmPanels<WeightType::kF16>(w, panels, x.data, x.stride, tokens, y, y_stride, widen);
}

}  // namespace tvl
