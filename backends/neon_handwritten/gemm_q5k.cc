#include <cstddef>

#include "backends/neon_handwritten/neon_handwritten.h"
#include "backends/neon_handwritten/quantized_gemm.h"

namespace tvl {

template <>
void NeonHandwritten::Gemm<WeightType::kQ5K>(const TileMatrix& w, PanelRange panels,
                                             const QuantizedRows& x, size_t tokens, float* y,
                                             size_t y_stride) noexcept {
  neon::QuantizedGemm<WeightType::kQ5K>(w, panels, x, tokens, y, y_stride);
}

}  // namespace tvl
