#include "backends/scalar_reference/scalar_reference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "core/canonical_math.h"
#include "core/float16.h"
#include "core/tile_weight.h"

namespace tvl {
namespace {

// 16 lanes to one sum.
float ReduceLanes(float* lane) {
  for (size_t s = 8; s > 0; s /= 2) {
    for (size_t j = 0; j < s; ++j) lane[j] += lane[j + s];
  }
  return lane[0];
}

// The dots of row `row` of a panel.
template <WeightType W>
float Dot(const std::byte* panel, size_t row, size_t padded_cols, const FloatRows& x) {
  float chain[kDotChains] = {};
  for (size_t k = 0; k < padded_cols; ++k) {
    chain[k % kDotChains] =
        std::fma(PanelWeight<W>(panel, row, k), x.data[k], chain[k % kDotChains]);
  }
  return (chain[0] + chain[1]) + (chain[2] + chain[3]);
}

template <WeightType W>
float Dot(const std::byte* panel, size_t row, size_t padded_cols, const QuantizedRows& x) {
  constexpr size_t kBlock = ScaleBlock(W);
  float acc = 0;
  for (size_t k = 0; k < padded_cols; k += kBlock) {
    int32_t s = 0;
    for (size_t j = k; j < k + kBlock; ++j) s += PanelQuant<W>(panel, row, j) * x.quants[j];
    const size_t b = k / kQuantBlock;  // of the inputs
    const float x_scale = x.scales[b];
    acc = std::fma(static_cast<float>(s), PanelScale<W>(panel, row, k) * x_scale, acc);
    if constexpr (HasMinima(W)) {
      const float sum = static_cast<float>(x.sums[b]);
      acc = std::fma(sum, PanelMinimum<W>(panel, row, k) * x_scale, acc);
    }
  }
  return acc;
}

}  // namespace

template <WeightType W>
void ScalarReference::Gemv(const TileMatrix& w, PanelRange panels, const RowsFor<W>& x,
                           float* y) noexcept {
  const size_t padded_cols = PaddedCols(W, w.cols);
  for (size_t p = panels.begin; p < panels.end; ++p) {
    for (size_t r = 0; r < w.RowsOfPanel(p); ++r)
      y[p * kPanelRows + r] = Dot<W>(w.Panel(p), r, padded_cols, x);
  }
}

template <WeightType W>
void ScalarReference::Gemm(const TileMatrix& w, PanelRange panels, const RowsFor<W>& x,
                           size_t tokens, float* y, size_t y_stride) noexcept {
  for (size_t t = 0; t < tokens; ++t) Gemv<W>(w, panels, x.From(t), y + t * y_stride);
}

template <WeightType W>
void ScalarReference::EmbedRow(const TileMatrix& w, size_t row, float* out) noexcept {
  const std::byte* panel = w.Panel(row / kPanelRows);
  for (size_t c = 0; c < w.cols; ++c) out[c] = PanelWeight<W>(panel, row % kPanelRows, c);
}

// What the header declares, for every type.
#define TVL_INSTANTIATE(W)                                                                         \
  template void ScalarReference::Gemv<W>(const TileMatrix&, PanelRange, const RowsFor<W>&,         \
                                         float*) noexcept;                                         \
  template void ScalarReference::Gemm<W>(const TileMatrix&, PanelRange, const RowsFor<W>&, size_t, \
                                         float*, size_t) noexcept;                                 \
  template void ScalarReference::EmbedRow<W>(const TileMatrix&, size_t, float*) noexcept
TVL_INSTANTIATE(WeightType::kF32);
TVL_INSTANTIATE(WeightType::kF16);
TVL_INSTANTIATE(WeightType::kBF16);
TVL_INSTANTIATE(WeightType::kQ8);
TVL_INSTANTIATE(WeightType::kQ4);
TVL_INSTANTIATE(WeightType::kQ4M);
TVL_INSTANTIATE(WeightType::kQ4K);
TVL_INSTANTIATE(WeightType::kQ5K);
TVL_INSTANTIATE(WeightType::kQ6K);
#undef TVL_INSTANTIATE
template void ScalarReference::Gemv<WeightType::kI8>(const TileMatrix&, PanelRange,
                                                     const FloatRows&, float*) noexcept;
template void ScalarReference::Gemm<WeightType::kI8>(const TileMatrix&, PanelRange,
                                                     const FloatRows&, size_t, float*,
                                                     size_t) noexcept;

void ScalarReference::QuantizeActivations(const float* x, size_t n,
                                          const QuantizedRows& out) noexcept {
  for (size_t first = 0; first < n; first += kQuantBlock) {
    const size_t block = first / kQuantBlock, size = std::min(kQuantBlock, n - first);
    int8_t* quants = out.quants + first;
    std::fill(quants, quants + kQuantBlock, int8_t{0});
    out.sums[block] = out.half_sums[block] = 0;
    uint32_t m = 0;
    for (size_t i = 0; i < size; ++i)
      m = std::max(m, std::bit_cast<uint32_t>(x[first + i]) & 0x7fffffffu);
    if (m >= kInfinityBits) {
      out.scales[block] = std::bit_cast<float>(kCanonicalNaN);
    } else if (m < kTinyBits) {
      out.scales[block] = 0;
    } else {
      const float a = std::bit_cast<float>(m);
      out.scales[block] = a / 127.0f;
      const float inverse = 127.0f / a;
      for (size_t i = 0; i < size; ++i) {
        quants[i] = static_cast<int8_t>(RoundToInt(x[first + i] * inverse));
        out.sums[block] += quants[i];
        if (i < kQuantBlock / 2) out.half_sums[block] += quants[i];
      }
    }
  }
}

void ScalarReference::RoundToF16(const float* x, size_t n, uint16_t* out) noexcept {
  for (size_t i = 0; i < n; ++i) out[i] = F32ToF16(x[i]);
}

void ScalarReference::ScaleByF16(const float* x, const uint16_t* scales, size_t n,
                                 float* y) noexcept {
  for (size_t i = 0; i < n; ++i) y[i] = x[i] * F16ToF32(scales[i]);
}

void ScalarReference::RmsNorm(const float* x, const float* weight, size_t n, float epsilon,
                              float* y) noexcept {
  float lane[kPanelRows] = {};
  for (size_t i = 0; i < n; ++i) lane[i % kPanelRows] = std::fma(x[i], x[i], lane[i % kPanelRows]);
  const float r = 1.0f / std::sqrt(ReduceLanes(lane) / static_cast<float>(n) + epsilon);
  for (size_t i = 0; i < n; ++i) y[i] = (x[i] * r) * weight[i];
}

void ScalarReference::Rope(const float* x, const float* cos, const float* sin, size_t dims,
                           float* y) noexcept {
  const size_t half = dims / 2;
  for (size_t i = 0; i < half; ++i) {
    const float a = x[i];
    const float b = x[i + half];
    y[i] = std::fma(a, cos[i], -(b * sin[i]));
    y[i + half] = std::fma(a, sin[i], b * cos[i]);
  }
}

void ScalarReference::Softmax(float* s, size_t n, float scale) noexcept {
  float max = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < n; ++i) {
    s[i] *= scale;
    if (s[i] > max) max = s[i];
  }
  float lane[kPanelRows] = {};
  for (size_t i = 0; i < n; ++i) {
    const float d = s[i] - max;
    s[i] = d < kSoftmaxCut ? 0.0f : Exp(d);
    lane[i % kPanelRows] += s[i];
  }
  const float c = 1.0f / ReduceLanes(lane);
  for (size_t i = 0; i < n; ++i) s[i] *= c;
  for (size_t i = n; i < RoundUp(n, kDotChains); ++i) s[i] = 0;
}

void ScalarReference::SwiGlu(const float* g, const float* u, size_t n, float* y) noexcept {
  for (size_t i = 0; i < n; ++i) y[i] = (g[i] / (1.0f + Exp(-g[i]))) * u[i];
}

void ScalarReference::Add(const float* x, size_t n, float* y) noexcept {
  for (size_t i = 0; i < n; ++i) y[i] = y[i] + x[i];
}

}  // namespace tvl
