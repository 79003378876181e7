// Widening of i8 values, 16 rows at a time.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_I8_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_I8_H_

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "backends/neon_handwritten/panel_sums.h"

namespace tvl::neon {

// The 16 rows of one k, in f32.
struct WideRows {
  float32x4_t rows[kRowRegisters];

  [[gnu::always_inline]] explicit WideRows(const int8_t* values) {
    const int8x16_t all = vld1q_s8(values);
    const int16x8_t low = vmovl_s8(vget_low_s8(all)), high = vmovl_high_s8(all);
    rows[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(low)));
    rows[1] = vcvtq_f32_s32(vmovl_high_s16(low));
    rows[2] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(high)));
    rows[3] = vcvtq_f32_s32(vmovl_high_s16(high));
  }
};

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_I8_H_
