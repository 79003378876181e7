// The 16 lanes of a canonical vector sum as four registers: lane i % 16 lies in register (i / 4)
// % 4.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_LANES_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_LANES_H_

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "backends/neon_handwritten/panel_sums.h"

namespace tvl::neon {

// lane[j] += lane[j + s] for s = 8, 4, 2, 1.
[[gnu::always_inline]] inline float ReduceLanes(const float32x4_t (&lane)[4]) {
  const float32x4_t eight_low = vaddq_f32(lane[0], lane[2]);
  const float32x4_t eight_high = vaddq_f32(lane[1], lane[3]);
  const float32x4_t four = vaddq_f32(eight_low, eight_high);
  const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
  return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

// All ones in the lanes j with j < n.
[[gnu::always_inline]] inline uint32x4_t FirstLanes(size_t n) {
  static constexpr uint32_t kIndex[kLanes] = {0, 1, 2, 3};
  return vcltq_u32(vld1q_u32(kIndex), vdupq_n_u32(n < kLanes ? static_cast<uint32_t>(n) : kLanes));
}

// x where the mask is set, +0 elsewhere: never lets a NaN through, as a product with 0 would.
[[gnu::always_inline]] inline float32x4_t KeepWhere(uint32x4_t mask, float32x4_t x) {
  return vreinterpretq_f32_u32(vandq_u32(mask, vreinterpretq_u32_f32(x)));
}

// Up to three floats from memory of which nothing more may be read; the other lanes are +0.
[[gnu::always_inline]] inline float32x4_t LoadFirst(const float* p, size_t n) {
  float four[kLanes] = {};
  for (size_t i = 0; i < n; ++i) four[i] = p[i];
  return vld1q_f32(four);
}

[[gnu::always_inline]] inline void StoreFirst(float* p, size_t n, float32x4_t x) {
  float four[kLanes];
  vst1q_f32(four, x);
  for (size_t i = 0; i < n; ++i) p[i] = four[i];
}

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_LANES_H_
