#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "backends/neon_handwritten/gemm_block.h"
#include "backends/neon_handwritten/i8.h"
#include "backends/neon_handwritten/neon_handwritten.h"
#include "backends/neon_handwritten/panel_sums.h"
#include "backends/neon_handwritten/unroll.h"

namespace tvl {

// As f16's: a block is widened once for up to 24 tokens.
template <>
void NeonHandwritten::Gemm<WeightType::kI8>(const TileMatrix& w, PanelRange panels,
                                            const FloatRows& x, size_t tokens, float* y,
                                            size_t y_stride) noexcept {
  if (tokens == 1) return Gemv<WeightType::kI8>(w, panels, x, y);
  alignas(kLineBytes) float wide[neon::kBlockCols * kPanelRows];
  const auto widen = [&wide](const std::byte* block, size_t cols) {
    const int8_t* values = reinterpret_cast<const int8_t*>(block);
    for (size_t k = 0; k < cols; ++k) {
      const neon::WideRows column(values + TileIndexI8(0, k));
      neon::Unroll<neon::kRowRegisters>([&](auto r) __attribute__((always_inline)) {
        vst1q_f32(wide + TileIndexF32(r * neon::kLanes, k), column.rows[r]);
      });
    }
    return static_cast<const float*>(wide);
  };
  neon::GemmPanels<WeightType::kI8>(w, panels, x.data, x.stride, tokens, y, y_stride, widen);
}

}  // namespace tvl
