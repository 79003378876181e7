// Numbers of eight rows in f32, however they are stored.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_WIDE_EIGHT_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_WIDE_EIGHT_H_

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "core/tile.h"

namespace tvl::neon {

// As an integer the bits of 1.5 * 2^23 and n make, for |n| < 2^22, those of the float 1.5 * 2^23 +
// n. So a subtraction makes a float of n, exactly, where SCVTF takes a Neoverse N1 or V1 two cycles
// of a pipe.
inline constexpr int32_t kBiasBits = 0x4b400000;
inline constexpr float kBias = 12582912;

struct WideEight {
  float32x4_t low;
  float32x4_t high;

  // The f16 numbers of a line from number `index` on.
  [[gnu::always_inline]] WideEight(const std::byte* line, size_t index) {
    const float16x8_t eight = vld1q_f16(reinterpret_cast<const float16_t*>(line) + index);
    low = vcvt_f32_f16(vget_low_f16(eight));
    high = vcvt_high_f32_f16(eight);
  }

  // Bytes, without or with sign. bias: kBias in every lane, or -kBias for what is less than 0 by
  // them.
  [[gnu::always_inline]] WideEight(const uint8_t* bytes, float32x4_t bias) {
    const uint16x8_t eight = vmovl_u8(vld1_u8(bytes));
    const uint32x4_t bits = vreinterpretq_u32_f32(bias);
    low = vsubq_f32(vreinterpretq_f32_u32(vaddw_u16(bits, vget_low_u16(eight))), bias);
    high = vsubq_f32(vreinterpretq_f32_u32(vaddw_high_u16(bits, eight)), bias);
  }
  [[gnu::always_inline]] WideEight(const int8_t* bytes, float32x4_t bias) {
    const int16x8_t eight = vmovl_s8(vld1_s8(bytes));
    const int32x4_t bits = vreinterpretq_s32_f32(bias);
    low = vsubq_f32(vreinterpretq_f32_s32(vaddw_s16(bits, vget_low_s16(eight))), bias);
    high = vsubq_f32(vreinterpretq_f32_s32(vaddw_high_s16(bits, eight)), bias);
  }

  [[gnu::always_inline]] WideEight Times(const WideEight& other) const {
    WideEight product = *this;
    product.low = vmulq_f32(low, other.low);
    product.high = vmulq_f32(high, other.high);
    return product;
  }
};

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_WIDE_EIGHT_H_
