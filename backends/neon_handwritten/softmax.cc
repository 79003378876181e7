#include <arm_neon.h>

#include <cstddef>
#include <cstdint>
#include <limits>

#include "backends/neon_handwritten/exp.h"
#include "backends/neon_handwritten/lanes.h"
#include "backends/neon_handwritten/neon_handwritten.h"
#include "backends/neon_handwritten/unroll.h"
#include "core/canonical_math.h"
#include "core/tile.h"

namespace tvl {
namespace {

using neon::kLanes;

// The greater by comparison: a NaN in `a` never wins, while FMAX would return it.
[[gnu::always_inline]] inline float32x4_t Greater(float32x4_t a, float32x4_t max) {
  return vbslq_f32(vcgtq_f32(a, max), a, max);
}

// s[i] *= scale; returns the maximum. Whole registers are written: s reaches to a multiple of 4.
float ScaleAndMax(float* s, size_t n, float scale) {
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  const float32x4_t lowest = vdupq_n_f32(kLowest);
  const float32x4_t scale4 = vdupq_n_f32(scale);
  float32x4_t max[4] = {lowest, lowest, lowest, lowest};
  size_t i = 0;
  for (; i + kPanelRows <= n; i += kPanelRows) {
    neon::Unroll<4>([&](auto j) __attribute__((always_inline)) {
      const float32x4_t z = vmulq_f32(vld1q_f32(s + i + j * kLanes), scale4);
      vst1q_f32(s + i + j * kLanes, z);
      max[j] = Greater(z, max[j]);
    });
  }
  for (; i < n; i += kLanes) {
    const float32x4_t z = vmulq_f32(vld1q_f32(s + i), scale4);
    vst1q_f32(s + i, z);
    max[0] = Greater(vbslq_f32(neon::FirstLanes(n - i), z, lowest), max[0]);
  }
  // The order decides only between +0 and -0, and s - max does not see which.
  float four[kLanes];
  vst1q_f32(four, Greater(Greater(max[0], max[1]), Greater(max[2], max[3])));
  float greatest = kLowest;
  for (const float m : four) greatest = m > greatest ? m : greatest;
  return greatest;
}

// e^(z - max), or +0 where that is far below.
[[gnu::always_inline]] inline float32x4_t Exponential(const float* z, float32x4_t max) {
  const float32x4_t d = vsubq_f32(vld1q_f32(z), max);
  const uint32x4_t cut = vcltq_f32(d, vdupq_n_f32(kSoftmaxCut));
  return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(neon::Exp(d)), cut));
}

// Replaces z by its exponential; returns the sum.
float ExponentialAndSum(float* s, size_t n, float max) {
  const float32x4_t max4 = vdupq_n_f32(max);
  float32x4_t lane[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
  size_t i = 0;
  for (float* z = s; i + kPanelRows <= n; i += kPanelRows) {
    neon::Unroll<4>([&](auto j) __attribute__((always_inline)) {
      const float32x4_t e = Exponential(z, max4);
      vst1q_f32(z, e);
      z += kLanes;
      lane[j] = vaddq_f32(lane[j], e);
      // One Exp after the other in the code: four abreast do not fit the registers, and the core
      // overlaps them anyway.
      asm("" : "+r"(z) : "w"(lane[j]));
    });
  }
  // Lanes beyond the end add +0, which changes no bit: a lane is +0, positive or NaN.
  neon::Unroll<4>([&](auto j) __attribute__((always_inline)) {
    const size_t at = i + j * kLanes;
    if (at >= n) return;
    const float32x4_t e = neon::KeepWhere(neon::FirstLanes(n - at), Exponential(s + at, max4));
    vst1q_f32(s + at, e);
    lane[j] = vaddq_f32(lane[j], e);
  });
  return neon::ReduceLanes(lane);
}

}  // namespace

void NeonHandwritten::Softmax(float* s, size_t n, float scale) noexcept {
  const float max = ScaleAndMax(s, n, scale);
  const float c = 1.0f / ExponentialAndSum(s, n, max);
  const float32x4_t c4 = vdupq_n_f32(c);
  for (size_t i = 0; i < n; i += kLanes) {
    const float32x4_t p = vmulq_f32(vld1q_f32(s + i), c4);
    vst1q_f32(s + i, neon::KeepWhere(neon::FirstLanes(n - i), p));
  }
}

}  // namespace tvl
