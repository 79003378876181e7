#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "backends/neon_handwritten/gemv_panels.h"
#include "backends/neon_handwritten/i8.h"
#include "backends/neon_handwritten/neon_handwritten.h"
#include "backends/neon_handwritten/panel_sums.h"
#include "backends/neon_handwritten/unroll.h"

namespace tvl {
namespace neon {
namespace {

// A step is one line: four k of 16 rows, each k in one register, which takes 6 instructions to
// widen and 4 to convert.
[[gnu::always_inline]] inline void Step(const std::byte*& line, float32x4_t x4, PanelSums& sums) {
  Unroll<kDotChains>([&](auto chain) __attribute__((always_inline)) {
    const WideRows w(reinterpret_cast<const int8_t*>(line) + TileIndexI8(0, chain));
    Unroll<kRowRegisters>([&](auto r) __attribute__((always_inline)) {
      sums.MulAdd<chain, r>(w.rows[r], x4);
    });
    sums.LoadAfter<chain, kRowRegisters - 1>(line);
  });
}

}  // namespace
}  // namespace neon

template <>
void NeonHandwritten::Gemv<WeightType::kI8>(const TileMatrix& w, PanelRange panels,
                                            const FloatRows& x, float* y) noexcept {
  neon::GemvPanels<WeightType::kI8, neon::Step>(w, panels, x.data, y);
}

}  // namespace tvl
