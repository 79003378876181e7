#include <arm_neon.h>

#include <cstddef>

#include "backends/neon_handwritten/bf16.h"
#include "backends/neon_handwritten/gemv_panels.h"
#include "backends/neon_handwritten/neon_handwritten.h"
#include "backends/neon_handwritten/panel_sums.h"
#include "backends/neon_handwritten/unroll.h"

namespace tvl {
namespace neon {
namespace {

// A step is two lines, that is again four k: 8 loads, 16 TRN, 16 FMLA. Modelled (llvm-mca) it takes
// 16 cycles on a Neoverse N1 and 8 on a V1, half of f16's: 8 and 16 bytes per cycle, bound by the
// pipes of TRN and FMLA.
[[gnu::always_inline]] inline void Step(const std::byte*& line, float32x4_t x4, PanelSums& sums) {
  Unroll<kDotChains / 2>([&](auto pair) __attribute__((always_inline)) {
    Unroll<kRowRegisters>([&](auto r) __attribute__((always_inline)) {
      const WidePair weights = LoadPair(line, r * kLanes, 2 * pair);
      sums.MulAdd<2 * pair, r>(weights.even, x4);
      sums.MulAdd<2 * pair + 1, r>(weights.odd, x4);
      if constexpr (r % 2 == 1) sums.LoadAfter<2 * pair + 1, r>(line);
    });
  });
}

}  // namespace
}  // namespace neon

template <>
void NeonHandwritten::Gemv<WeightType::kBF16>(const TileMatrix& w, PanelRange panels,
                                              const FloatRows& x, float* y) noexcept {
  neon::GemvPanels<WeightType::kBF16, neon::Step>(w, panels, x.data, y);
}

}  // namespace tvl
