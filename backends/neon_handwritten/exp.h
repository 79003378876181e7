// Exp of core/canonical_math.h, four at a time.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_EXP_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_EXP_H_

#include <arm_neon.h>

#include <cstdint>

#include "core/canonical_math.h"

namespace tvl::neon {

// The scalar form returns early for what is outside its range; here the result is computed from
// whatever comes and then replaced, in the opposite order of those returns.
[[gnu::always_inline]] inline float32x4_t Exp(float32x4_t x) {
  using C = ExpConstants;
  const float32x4_t round = vdupq_n_f32(C::kRound);
  const float32x4_t t = vfmaq_f32(round, x, vdupq_n_f32(C::kLog2E));
  const uint32x4_t n = vsubq_u32(vreinterpretq_u32_f32(t), vreinterpretq_u32_f32(round));
  const float32x4_t f = vsubq_f32(t, round);
  float32x4_t r = vfmaq_f32(x, f, vdupq_n_f32(C::kLn2High));
  r = vfmaq_f32(r, f, vdupq_n_f32(C::kLn2Low));
  float32x4_t p = vfmaq_f32(vdupq_n_f32(C::kC1), vdupq_n_f32(C::kC0), r);
  p = vfmaq_f32(vdupq_n_f32(C::kC2), p, r);
  p = vfmaq_f32(vdupq_n_f32(C::kC3), p, r);
  p = vfmaq_f32(vdupq_n_f32(C::kC4), p, r);
  p = vfmaq_f32(vdupq_n_f32(C::kC5), p, r);
  const float32x4_t y = vaddq_f32(vdupq_n_f32(1.0f), vfmaq_f32(r, vmulq_f32(p, r), r));
  uint32x4_t bits = vaddq_u32(vreinterpretq_u32_f32(y), vshlq_n_u32(n, 23));
  bits = vbslq_u32(vcgtq_f32(x, vdupq_n_f32(C::kOverflow)), vdupq_n_u32(0x7f800000u), bits);
  bits = vbicq_u32(bits, vcltq_f32(x, vdupq_n_f32(C::kUnderflow)));
  bits = vbslq_u32(vceqq_f32(x, x), bits, vdupq_n_u32(kCanonicalNaN));
  return vreinterpretq_f32_u32(bits);
}

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_EXP_H_
