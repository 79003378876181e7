#include <arm_neon.h>

#include <cstddef>

#include "backends/neon_handwritten/gemv_panels.h"
#include "backends/neon_handwritten/neon_handwritten.h"
#include "backends/neon_handwritten/panel_sums.h"
#include "backends/neon_handwritten/unroll.h"

namespace tvl {
namespace neon {
namespace {

// A step is four lines: 16 FMLA, one for each of the 16 sums, so that no FMLA waits for another of
// its step, and one load of x, whose four lanes are the four chains. Modelled (llvm-mca) it takes
// 12.5 cycles on a Neoverse N1 and 8.4 on a V1, 20 and 31 bytes per cycle, bound by the load pipes,
// which the prefetches share; that is more than DRAM gives to a core of either.
[[gnu::always_inline]] inline void Step(const std::byte*& line, float32x4_t x4, PanelSums& sums) {
  Unroll<kDotChains>([&](auto chain) __attribute__((always_inline)) {
    Unroll<kRowRegisters>([&](auto r) __attribute__((always_inline)) {
      const float* weights = reinterpret_cast<const float*>(line);
      sums.MulAdd<chain, r>(vld1q_f32(weights + TileIndexF32(r * kLanes, chain)), x4);
    });
    if constexpr (chain == 1) sums.LoadAfter<chain, kRowRegisters - 1>(line);
  });
}

}  // namespace
}  // namespace neon

template <>
void NeonHandwritten::Gemv<WeightType::kF32>(const TileMatrix& w, PanelRange panels,
                                             const FloatRows& x, float* y) noexcept {
  neon::GemvPanels<WeightType::kF32, neon::Step>(w, panels, x.data, y);
}

}  // namespace tvl
