// Everything that is not a product with weights. See core/kernel.h for the order of operations.
#include <cmath>
#include <cstddef>
#include <limits>

#include "backends/highway_portable/highway_portable.h"
#include "backends/highway_portable/vectors-inl.h"
#include "core/float16.h"

HWY_BEFORE_NAMESPACE();
namespace tvl {

using namespace highway_portable;  // NOLINT: this file is that namespace's second half

void HighwayPortable::RoundToF16(const float* x, size_t n, uint16_t* out) noexcept {
  const hn::Rebind<hwy::float16_t, D> df16;
  const hn::Rebind<uint16_t, D> du16;
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    hn::StoreU(hn::BitCast(du16, hn::DemoteTo(df16, hn::LoadU(d, x + i))), du16, out + i);
  for (; i < n; ++i) out[i] = F32ToF16(x[i]);
}

void HighwayPortable::ScaleByF16(const float* x, const uint16_t* scales, size_t n,
                                 float* y) noexcept {
  const hn::Rebind<hwy::float16_t, D> df16;
  const hn::Rebind<uint16_t, D> du16;
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const V scale = hn::PromoteTo(d, hn::BitCast(df16, hn::LoadU(du16, scales + i)));
    hn::StoreU(hn::Mul(hn::LoadU(d, x + i), scale), d, y + i);
  }
  for (; i < n; ++i) y[i] = x[i] * F16ToF32(scales[i]);
}

void HighwayPortable::RmsNorm(const float* HWY_RESTRICT x, const float* HWY_RESTRICT weight,
                              size_t n, float epsilon, float* HWY_RESTRICT y) noexcept {
  V sum[kVectors];
  for (size_t v = 0; v < kVectors; ++v) sum[v] = hn::Zero(d);
  const size_t whole = n / kPanelRows * kPanelRows;
  for (size_t i = 0; i < whole; i += kPanelRows) {
    for (size_t v = 0; v < kVectors; ++v) {
      const V xi = hn::LoadU(d, x + i + v * kLanes);
      sum[v] = hn::MulAdd(xi, xi, sum[v]);
    }
  }
  LaneSums lanes;
  for (size_t v = 0; v < kVectors; ++v) hn::Store(sum[v], d, lanes.lane + v * kLanes);
  for (size_t i = whole; i < n; ++i)
    lanes.lane[i - whole] = std::fma(x[i], x[i], lanes.lane[i - whole]);
  const float r = 1.0f / std::sqrt(lanes.Reduce() / static_cast<float>(n) + epsilon);
  const V vr = hn::Set(d, r);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(d, x + i), vr), hn::LoadU(d, weight + i)), d, y + i);
  }
  for (; i < n; ++i) y[i] = (x[i] * r) * weight[i];
}

void HighwayPortable::Rope(const float* x, const float* cos, const float* sin, size_t dims,
                           float* y) noexcept {
  const size_t half = dims / 2;
  size_t i = 0;
  for (; i + kLanes <= half; i += kLanes) {
    const V a = hn::LoadU(d, x + i);
    const V b = hn::LoadU(d, x + i + half);
    const V c = hn::LoadU(d, cos + i);
    const V s = hn::LoadU(d, sin + i);
    hn::StoreU(hn::MulSub(a, c, hn::Mul(b, s)), d, y + i);
    hn::StoreU(hn::MulAdd(a, s, hn::Mul(b, c)), d, y + i + half);
  }
  for (; i < half; ++i) {
    const float a = x[i];
    const float b = x[i + half];
    y[i] = std::fma(a, cos[i], -(b * sin[i]));
    y[i + half] = std::fma(a, sin[i], b * cos[i]);
  }
}

namespace {

// Scales s in place and returns the maximum of what is not NaN. Comparison and selection, not Max:
// the two targets' instructions differ on NaN.
float ScaleAndMax(float* s, size_t n, float scale) {
  V max = hn::Set(d, -std::numeric_limits<float>::infinity());
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const V z = hn::Mul(hn::LoadU(d, s + i), hn::Set(d, scale));
    hn::StoreU(z, d, s + i);
    max = hn::IfThenElse(hn::Gt(z, max), z, max);
  }
  HWY_ALIGN float lanes[kLanes];
  hn::Store(max, d, lanes);
  float best = -std::numeric_limits<float>::infinity();
  for (const float lane : lanes) best = lane > best ? lane : best;
  for (; i < n; ++i) {
    s[i] *= scale;
    best = s[i] > best ? s[i] : best;
  }
  return best;
}

}  // namespace

void HighwayPortable::Softmax(float* s, size_t n, float scale) noexcept {
  const float max = ScaleAndMax(s, n, scale);
  const V vmax = hn::Set(d, max);
  V sum[kVectors];
  for (size_t v = 0; v < kVectors; ++v) sum[v] = hn::Zero(d);
  const size_t whole = n / kPanelRows * kPanelRows;
  for (size_t i = 0; i < whole; i += kPanelRows) {
    for (size_t v = 0; v < kVectors; ++v) {
      const V difference = hn::Sub(hn::LoadU(d, s + i + v * kLanes), vmax);
      const V e = hn::IfThenElse(hn::Lt(difference, hn::Set(d, kSoftmaxCut)), hn::Zero(d),
                                 VectorExp(difference));
      hn::StoreU(e, d, s + i + v * kLanes);
      sum[v] = hn::Add(sum[v], e);
    }
  }
  LaneSums lanes;
  for (size_t v = 0; v < kVectors; ++v) hn::Store(sum[v], d, lanes.lane + v * kLanes);
  for (size_t i = whole; i < n; ++i) {
    const float difference = s[i] - max;
    s[i] = difference < kSoftmaxCut ? 0.0f : Exp(difference);
    lanes.lane[i - whole] += s[i];
  }
  const float c = 1.0f / lanes.Reduce();
  const V vc = hn::Set(d, c);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) hn::StoreU(hn::Mul(hn::LoadU(d, s + i), vc), d, s + i);
  for (; i < n; ++i) s[i] *= c;
  for (; i < RoundUp(n, kDotChains); ++i) s[i] = 0;
}

void HighwayPortable::SwiGlu(const float* g, const float* u, size_t n, float* y) noexcept {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const V gate = hn::LoadU(d, g + i);
    const V silu = hn::Div(gate, hn::Add(hn::Set(d, 1.0f), VectorExp(hn::Neg(gate))));
    hn::StoreU(hn::Mul(silu, hn::LoadU(d, u + i)), d, y + i);
  }
  for (; i < n; ++i) y[i] = (g[i] / (1.0f + Exp(-g[i]))) * u[i];
}

void HighwayPortable::Add(const float* x, size_t n, float* y) noexcept {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    hn::StoreU(hn::Add(hn::LoadU(d, y + i), hn::LoadU(d, x + i)), d, y + i);
  for (; i < n; ++i) y[i] = y[i] + x[i];
}

}  // namespace tvl
HWY_AFTER_NAMESPACE();
