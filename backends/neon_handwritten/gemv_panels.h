// A product with one vector: the loops around a step of four inputs, shared by the weight types.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_GEMV_PANELS_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_GEMV_PANELS_H_

#include <arm_neon.h>

#include <cstddef>

#include "backends/neon_handwritten/panel_sums.h"
#include "backends/neon_handwritten/weight_stream.h"
#include "core/tensor_view.h"
#include "core/tile.h"

namespace tvl::neon {

// kStep(line, x4, sums) adds to the sums the products of the 16 rows whose weights begin at `line`
// with the four inputs x4. It gets `line` by reference for the sake of sums.LoadAfter(line).
template <WeightType W, auto kStep>
[[gnu::always_inline]] inline void GemvPanels(const TileMatrix& w, PanelRange panels,
                                              const float* x, float* y) {
  constexpr size_t kStepBytes = PanelBytes(W, kDotChains);
  const size_t panel_bytes = PanelBytes(W, w.cols);
  for (size_t p = panels.begin; p < panels.end; ++p) {
    const WeightStream<kStepBytes> stream(w, panels, p, panel_bytes);
    const std::byte* line = w.Panel(p);
    const std::byte* end = line + panel_bytes;
    const float* xk = x;
    PanelSums sums;
    for (; line != end; line += kStepBytes, xk += kDotChains) {
      stream.Advance(line);
      kStep(line, vld1q_f32(xk), sums);
    }
    sums.Store(w.RowsOfPanel(p), y + p * kPanelRows);
  }
}

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_GEMV_PANELS_H_
