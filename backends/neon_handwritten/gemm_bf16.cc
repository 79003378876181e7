#include <arm_neon.h>

#include <cstddef>

#include "backends/neon_handwritten/bf16.h"
#include "backends/neon_handwritten/gemm_block.h"
#include "backends/neon_handwritten/neon_handwritten.h"
#include "backends/neon_handwritten/panel_sums.h"
#include "backends/neon_handwritten/unroll.h"

namespace tvl {

// As f16's: a block is widened once for up to 24 tokens, and its pairs of k come apart on the way.
template <>
void NeonHandwritten::Gemm<WeightType::kBF16>(const TileMatrix& w, PanelRange panels,
                                              const FloatRows& x, size_t tokens, float* y,
                                              size_t y_stride) noexcept {
  if (tokens == 1) return Gemv<WeightType::kBF16>(w, panels, x, y);
  alignas(kLineBytes) float wide[neon::kBlockCols * kPanelRows];
  const auto widen = [&wide](const std::byte* block, size_t cols) {
    for (size_t k = 0; k < cols; k += 2) {
      neon::Unroll<neon::kRowRegisters>([&](auto r) __attribute__((always_inline)) {
        const neon::WidePair pair = neon::LoadPair(block, r * neon::kLanes, k);
        vst1q_f32(wide + TileIndexF32(r * neon::kLanes, k), pair.even);
        vst1q_f32(wide + TileIndexF32(r * neon::kLanes, k + 1), pair.odd);
      });
    }
    return static_cast<const float*>(wide);
  };
  neon::GemmPanels<WeightType::kBF16>(w, panels, x.data, x.stride, tokens, y, y_stride, widen);
}

}  // namespace tvl
