// bf16 weights, whose lines hold pairs of inputs.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_BF16_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_BF16_H_

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "core/tile.h"

namespace tvl::neon {

// Four rows of two inputs, widened.
struct WidePair {
  float32x4_t even;
  float32x4_t odd;
};

// Rows [first, first + 4) of inputs k and k + 1 of a panel; k is even. The halves of a 32-bit lane
// are those of one row, so that a transposition with zeros puts either on top of zeros; SHL would
// do it for the even input, but on one pipe of the two of a Cortex-A72, Cortex-A76 or Neoverse N1.
[[gnu::always_inline]] inline WidePair LoadPair(const std::byte* panel, size_t first, size_t k) {
  const uint16_t* weights = reinterpret_cast<const uint16_t*>(panel);
  const uint16x8_t pair = vld1q_u16(weights + TileIndexBF16(first, k));
  const uint16x8_t zero = vdupq_n_u16(0);
  return {vreinterpretq_f32_u16(vtrn1q_u16(zero, pair)),
          vreinterpretq_f32_u16(vtrn2q_u16(zero, pair))};
}

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_BF16_H_
