#include "backends/neon_handwritten/neon_handwritten.h"
#include "backends/neon_handwritten/quantized_panels.h"

namespace tvl {

template <>
void NeonHandwritten::Gemv<WeightType::kQ4M>(const TileMatrix& w, PanelRange panels,
                                             const QuantizedRows& x, float* y) noexcept {
  neon::QuantizedGemv<WeightType::kQ4M>(w, panels, x, y);
}

}  // namespace tvl
