#include <cstddef>

#include "backends/neon_handwritten/gemm_block.h"
#include "backends/neon_handwritten/neon_handwritten.h"

namespace tvl {

template <>
void NeonHandwritten::Gemm<WeightType::kF32>(const TileMatrix& w, PanelRange panels,
                                             const FloatRows& x, size_t tokens, float* y,
                                             size_t y_stride) noexcept {
  if (tokens == 1) return Gemv<WeightType::kF32>(w, panels, x, y);
  const auto in_place = [](const std::byte* block, size_t) {
    return reinterpret_cast<const float*>(block);
  };
  neon::GemmPanels<WeightType::kF32>(w, panels, x.data, x.stride, tokens, y, y_stride, in_place);
}

}  // namespace tvl
