#include <arm_neon.h>

#include <cstddef>

#include "backends/neon_handwritten/gemv_panels.h"
#include "backends/neon_handwritten/neon_handwritten.h"
#include "backends/neon_handwritten/panel_sums.h"
#include "backends/neon_handwritten/unroll.h"

namespace tvl {
namespace neon {
namespace {

// A step is two lines, that is again four k: 8 loads, 16 FCVTL, 16 FMLA. A Neoverse N1 starts one
// FCVTL in two cycles on one of its two pipes, which bounds the loop to 4 bytes per cycle; the FMLA
// of the step fill the other pipe. Widening half of the registers by SSHLL, AND and FMUL instead
// would win an eighth there, lose on every newer core, and need care for infinities: refused.
[[gnu::always_inline]] inline void Step(const std::byte*& line, float32x4_t x4, PanelSums& sums) {
  Unroll<kDotChains>([&](auto chain) __attribute__((always_inline)) {
    Unroll<kRowRegisters / 2>([&](auto pair) __attribute__((always_inline)) {
      const float16_t* weights = reinterpret_cast<const float16_t*>(line);
      const float16x8_t h = vld1q_f16(weights + TileIndexF16(pair * 2 * kLanes, chain));
      sums.MulAdd<chain, 2 * pair>(vcvt_f32_f16(vget_low_f16(h)), x4);
      sums.MulAdd<chain, 2 * pair + 1>(vcvt_high_f32_f16(h), x4);
    });
    if constexpr (chain == 1) sums.LoadAfter<chain, kRowRegisters - 1>(line);
  });
}

}  // namespace
}  // namespace neon

template <>
void NeonHandwritten::Gemv<WeightType::kF16>(const TileMatrix& w, PanelRange panels,
                                             const FloatRows& x, float* y) noexcept {
  neon::GemvPanels<WeightType::kF16, neon::Step>(w, panels, x.data, y);
}

}  // namespace tvl
