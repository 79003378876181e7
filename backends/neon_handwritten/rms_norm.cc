#include <arm_neon.h>

#include <cmath>
#include <cstddef>

#include "backends/neon_handwritten/lanes.h"
#include "backends/neon_handwritten/neon_handwritten.h"
#include "backends/neon_handwritten/unroll.h"
#include "core/tile.h"

namespace tvl {
namespace {

float SumOfSquares(const float* x, size_t n) {
  using neon::kLanes;
  float32x4_t lane[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)};
  size_t i = 0;
  for (; i + kPanelRows <= n; i += kPanelRows) {
    neon::Unroll<4>([&](auto j) __attribute__((always_inline)) {
      const float32x4_t v = vld1q_f32(x + i + j * kLanes);
      lane[j] = vfmaq_f32(lane[j], v, v);
    });
  }
  // Lanes beyond the end add +0, which changes no bit: a lane is +0, positive or NaN.
  neon::Unroll<4>([&](auto j) __attribute__((always_inline)) {
    const size_t at = i + j * kLanes;
    if (at >= n) return;
    const float32x4_t v = n - at >= kLanes ? vld1q_f32(x + at) : neon::LoadFirst(x + at, n - at);
    lane[j] = vfmaq_f32(lane[j], v, v);
  });
  return neon::ReduceLanes(lane);
}

}  // namespace

void NeonHandwritten::RmsNorm(const float* x, const float* weight, size_t n, float epsilon,
                              float* y) noexcept {
  const float r = 1.0f / std::sqrt(SumOfSquares(x, n) / static_cast<float>(n) + epsilon);
  const float32x4_t r4 = vdupq_n_f32(r);
  size_t i = 0;
  for (; i + neon::kLanes <= n; i += neon::kLanes) {
    vst1q_f32(y + i, vmulq_f32(vmulq_f32(vld1q_f32(x + i), r4), vld1q_f32(weight + i)));
  }
  for (; i < n; ++i) y[i] = (x[i] * r) * weight[i];
}

}  // namespace tvl
