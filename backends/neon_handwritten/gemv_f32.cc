#include <arm_neon.h>

#include <cstddef>

#include "backends/neon_handwritten/neon_handwritten.h"
#include "backends/neon_handwritten/panel_sums.h"
#include "backends/neon_handwritten/unroll.h"
#include "backends/neon_handwritten/weight_stream.h"

namespace tvl {

// A step is four lines: 16 FMLA, one for each of the 16 sums, so that no FMLA waits for another of
// its step, and one load of x, whose four lanes are the four chains. Modelled (llvm-mca) it takes
// 12.5 cycles on a Neoverse N1 and 8.4 on a V1, 20 and 31 bytes per cycle, bound by the load pipes,
// which the prefetches share; that is more than DRAM gives to a core of either.
template <>
void NeonHandwritten::Gemv<WeightType::kF32>(const TileMatrix& w, PanelRange panels, const float* x,
                                             float* y) noexcept {
  constexpr size_t kStepFloats = kDotChains * kPanelRows;
  const size_t panel_bytes = PanelBytes(WeightType::kF32, w.cols);
  for (size_t p = panels.begin; p < panels.end; ++p) {
    const neon::WeightStream stream(w, panels, p, panel_bytes);
    const float* line = reinterpret_cast<const float*>(w.Panel(p));  // (Kp, 16)
    const float* end = line + panel_bytes / sizeof(float);
    const float* xk = x;
    neon::PanelSums sums;
    for (; line != end; line += kStepFloats, xk += kDotChains) {
      stream.Advance<kStepFloats * sizeof(float)>(line);
      const float32x4_t x4 = vld1q_f32(xk);
      neon::Unroll<kDotChains>([&](auto chain) __attribute__((always_inline)) {
        neon::Unroll<neon::kRowRegisters>([&](auto r) __attribute__((always_inline)) {
          sums.MulAdd<chain, r>(vld1q_f32(line + TileIndexF32(r * neon::kLanes, chain)), x4);
        });
        if constexpr (chain == 1) sums.LoadAfter<chain>(line);
      });
    }
    sums.Store(w.RowsOfPanel(p), y + p * kPanelRows);
  }
}

}  // namespace tvl
