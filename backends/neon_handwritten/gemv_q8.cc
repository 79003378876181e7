#include "backends/neon_handwritten/neon_handwritten.h"
#include "backends/neon_handwritten/quantized_panels.h"

namespace tvl {

template <>
void NeonHandwritten::Gemv<WeightType::kQ8>(const TileMatrix& w, PanelRange panels,
                                            const QuantizedRows& x, float* y) noexcept {
  neon::QuantizedGemv<WeightType::kQ8>(w, panels, x, y);
}

}  // namespace tvl
