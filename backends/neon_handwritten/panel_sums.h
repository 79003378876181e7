// The 64 partial sums of a panel: 16 rows in four registers, times the four chains of the canonical
// dot.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_PANEL_SUMS_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_PANEL_SUMS_H_

#include <arm_neon.h>

#include <cstddef>

#include "backends/neon_handwritten/unroll.h"
#include "core/tile.h"

namespace tvl::neon {

inline constexpr size_t kLanes = 4;
inline constexpr size_t kRowRegisters = kPanelRows / kLanes;

struct PanelSums {
  float32x4_t chain[kDotChains][kRowRegisters];

  [[gnu::always_inline]] PanelSums() {
    Unroll<kDotChains>([&](auto c) __attribute__((always_inline)) {
      Unroll<kRowRegisters>([&](auto r)
                                __attribute__((always_inline)) { chain[c][r] = vdupq_n_f32(0); });
    });
  }

  // Chain kChain of row register kRegister += w * x[kChain]. x: four consecutive inputs.
  template <size_t kChain, size_t kRegister>
  [[gnu::always_inline]] void MulAdd(float32x4_t w, float32x4_t x) {
    chain[kChain][kRegister] = vfmaq_laneq_f32(chain[kChain][kRegister], w, x, kChain);
  }

  // Emits no instruction. Keeps the compiler from loading what is read through `p` before row
  // register kRegister of chain kChain has been added to: gcc hoists every load of a step to its
  // top, and 16 sums, 16 registers of weights and x are one more than there are. (A member, since
  // gcc keeps all sums in memory when one of them is handed to a function.)
  template <size_t kChain, size_t kRegister, typename T>
  [[gnu::always_inline]] void LoadAfter(const T*& p) {
    asm("" : "+r"(p) : "w"(chain[kChain][kRegister]));
  }

  // Writes the dots of the first `rows` rows.
  [[gnu::always_inline]] void Store(size_t rows, float* y) const {
    if (rows == kPanelRows) {
      Unroll<kRowRegisters>([&](auto r) __attribute__((always_inline)) {
        vst1q_f32(y + r * kLanes, Dot<r>());
      });
      return;
    }
    float all[kPanelRows];
    Unroll<kRowRegisters>([&](auto r) __attribute__((always_inline)) {
      vst1q_f32(all + r * kLanes, Dot<r>());
    });
    for (size_t i = 0; i < rows; ++i) y[i] = all[i];
  }

 private:
  template <size_t kRegister>
  [[gnu::always_inline]] float32x4_t Dot() const {
    return vaddq_f32(vaddq_f32(chain[0][kRegister], chain[1][kRegister]),
                     vaddq_f32(chain[2][kRegister], chain[3][kRegister]));
  }
};

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_PANEL_SUMS_H_
