#include <arm_neon.h>

#include <cmath>
#include <cstddef>

#include "backends/neon_handwritten/exp.h"
#include "backends/neon_handwritten/lanes.h"
#include "backends/neon_handwritten/neon_handwritten.h"

namespace tvl {

using neon::kLanes;

void NeonHandwritten::Rope(const float* x, const float* cos, const float* sin, size_t dims,
                           float* y) noexcept {
  const size_t half = dims / 2;
  size_t i = 0;
  // y may be x: both halves of a pair are read before either is written.
  for (; i + kLanes <= half; i += kLanes) {
    const float32x4_t a = vld1q_f32(x + i);
    const float32x4_t b = vld1q_f32(x + i + half);
    const float32x4_t c = vld1q_f32(cos + i);
    const float32x4_t s = vld1q_f32(sin + i);
    vst1q_f32(y + i, vfmaq_f32(vnegq_f32(vmulq_f32(b, s)), a, c));
    vst1q_f32(y + i + half, vfmaq_f32(vmulq_f32(b, c), a, s));
  }
  for (; i < half; ++i) {
    const float a = x[i];
    const float b = x[i + half];
    y[i] = std::fma(a, cos[i], -(b * sin[i]));
    y[i + half] = std::fma(a, sin[i], b * cos[i]);
  }
}

namespace {

// FDIV, not an estimate: the division is IEEE's. It takes 7 to 10 cycles of a pipe for four and
// hides behind Exp.
[[gnu::always_inline]] inline float32x4_t GatedUnit(float32x4_t g, float32x4_t u) {
  const float32x4_t divisor = vaddq_f32(vdupq_n_f32(1.0f), neon::Exp(vnegq_f32(g)));
  return vmulq_f32(vdivq_f32(g, divisor), u);
}

}  // namespace

void NeonHandwritten::SwiGlu(const float* g, const float* u, size_t n, float* y) noexcept {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    vst1q_f32(y + i, GatedUnit(vld1q_f32(g + i), vld1q_f32(u + i)));
  if (i == n) return;
  neon::StoreFirst(y + i, n - i,
                   GatedUnit(neon::LoadFirst(g + i, n - i), neon::LoadFirst(u + i, n - i)));
}

void NeonHandwritten::Add(const float* x, size_t n, float* y) noexcept {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    vst1q_f32(y + i, vaddq_f32(vld1q_f32(y + i), vld1q_f32(x + i)));
  for (; i < n; ++i) y[i] = y[i] + x[i];
}

}  // namespace tvl
