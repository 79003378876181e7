#include <arm_neon.h>

#include <cstddef>

#include "backends/neon_handwritten/neon_handwritten.h"
#include "backends/neon_handwritten/panel_sums.h"
#include "backends/neon_handwritten/unroll.h"
#include "backends/neon_handwritten/weight_stream.h"

namespace tvl {

// A step is two lines, that is again four k: 8 loads, 16 FCVTL, 16 FMLA. A Neoverse N1 starts one
// FCVTL in two cycles on one of its two pipes, which bounds the loop to 4 bytes per cycle; the FMLA
// of the step fill the other pipe. Widening half of the registers by SSHLL, AND and FMUL instead
// would win an eighth there, lose on every newer core, and need care for infinities: refused.
template <>
void NeonHandwritten::Gemv<WeightType::kF16>(const TileMatrix& w, PanelRange panels, const float* x,
                                             float* y) noexcept {
  constexpr size_t kStepHalves = kDotChains * kPanelRows;
  const size_t panel_bytes = PanelBytes(WeightType::kF16, w.cols);
  for (size_t p = panels.begin; p < panels.end; ++p) {
    const neon::WeightStream stream(w, panels, p, panel_bytes);
    const float16_t* line = reinterpret_cast<const float16_t*>(w.Panel(p));  // (Kp, 16)
    const float16_t* end = line + panel_bytes / sizeof(float16_t);
    const float* xk = x;
    neon::PanelSums sums;
    for (; line != end; line += kStepHalves, xk += kDotChains) {
      stream.Advance<kStepHalves * sizeof(float16_t)>(line);
      const float32x4_t x4 = vld1q_f32(xk);
      neon::Unroll<kDotChains>([&](auto chain) __attribute__((always_inline)) {
        neon::Unroll<neon::kRowRegisters / 2>([&](auto pair) __attribute__((always_inline)) {
          const float16x8_t h = vld1q_f16(line + TileIndexF16(pair * 2 * neon::kLanes, chain));
          sums.MulAdd<chain, 2 * pair>(vcvt_f32_f16(vget_low_f16(h)), x4);
          sums.MulAdd<chain, 2 * pair + 1>(vcvt_high_f32_f16(h), x4);
        });
        if constexpr (chain == 1) sums.LoadAfter<chain>(line);
      });
    }
    sums.Store(w.RowsOfPanel(p), y + p * kPanelRows);
  }
}

}  // namespace tvl
