#include "backends/neon_handwritten/k_quant_panels.h"
#include "backends/neon_handwritten/neon_handwritten.h"

namespace tvl {

template <>
void NeonHandwritten::Gemv<WeightType::kQ4K>(const TileMatrix& w, PanelRange panels,
                                             const QuantizedRows& x, float* y) noexcept {
  neon::KQuantGemv<WeightType::kQ4K>(w, panels, x, y);
}

}  // namespace tvl
