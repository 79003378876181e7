// Gemv and Gemm of f32, f16 and bf16, EmbedRow of all. See core/kernel.h for the order of the sums.
#include <algorithm>
#include <cstddef>

#include "backends/highway_portable/highway_portable.h"
#include "backends/highway_portable/vectors-inl.h"
#include "core/tile_weight.h"

HWY_BEFORE_NAMESPACE();
namespace tvl::highway_portable {

// (p0 + p1) + (p2 + p3).
HWY_INLINE void StoreDots(const V (&chain)[kDotChains], size_t first, size_t rows, float* y) {
  StoreRows(hn::Add(hn::Add(chain[0], chain[1]), hn::Add(chain[2], chain[3])), first, rows, y);
}

// One panel with one vector: every line is loaded once, in order.
template <WeightType W>
HWY_INLINE void PanelGemv(const std::byte* panel, size_t padded_cols, const float* HWY_RESTRICT x,
                          size_t rows, float* HWY_RESTRICT y) {
  constexpr size_t kQuadBytes = PanelBytes(W, kDotChains);
  V chain[kVectors][kDotChains];
  for (size_t v = 0; v < kVectors; ++v) {
    for (size_t c = 0; c < kDotChains; ++c) chain[v][c] = hn::Zero(d);
  }
  for (size_t k = 0; k < padded_cols; k += kDotChains) {
    const std::byte* quad = panel + k / kDotChains * kQuadBytes;
    PrefetchStream<kQuadBytes>(quad);
    for (size_t c = 0; c < kDotChains; ++c) {
      const V xk = hn::Set(d, x[k + c]);
      for (size_t v = 0; v < kVectors; ++v) {
        chain[v][c] = hn::MulAdd(LoadWeights<W>(quad, c, v * kLanes), xk, chain[v][c]);
      }
    }
  }
  for (size_t v = 0; v < kVectors; ++v) StoreDots(chain[v], v * kLanes, rows, y);
}

// Tokens that one pass over a vector of rows serves: as many as accumulators fit, with room for the
// weights.
inline constexpr size_t kTokenBlock = kRegisters == 32 ? 6 : 3;

// kTokens tokens with kLanes rows of a panel, four chains each.
template <WeightType W, size_t kTokens>
HWY_INLINE void BlockGemm(const std::byte* panel, size_t padded_cols, size_t first,
                          const float* HWY_RESTRICT x, size_t x_stride, size_t rows,
                          float* HWY_RESTRICT y, size_t y_stride) {
  V chain[kTokens][kDotChains];
  for (size_t t = 0; t < kTokens; ++t) {
    for (size_t c = 0; c < kDotChains; ++c) chain[t][c] = hn::Zero(d);
  }
  for (size_t k = 0; k < padded_cols; k += kDotChains) {
    const std::byte* quad = panel + k / kDotChains * PanelBytes(W, kDotChains);
    for (size_t c = 0; c < kDotChains; ++c) {
      const V w = LoadWeights<W>(quad, c, first);
      for (size_t t = 0; t < kTokens; ++t) {
        chain[t][c] = hn::MulAdd(w, hn::Set(d, x[t * x_stride + k + c]), chain[t][c]);
      }
    }
  }
  for (size_t t = 0; t < kTokens; ++t) StoreDots(chain[t], first, rows, y + t * y_stride);
}

// As BlockGemm for a number of tokens that is not known when compiling.
template <WeightType W, size_t kTokens>
HWY_INLINE void TailGemm(const std::byte* panel, size_t padded_cols, size_t first, const float* x,
                         size_t x_stride, size_t tokens, size_t rows, float* y, size_t y_stride) {
  if constexpr (kTokens > 0) {
    if (tokens != kTokens) {
      return TailGemm<W, kTokens - 1>(panel, padded_cols, first, x, x_stride, tokens, rows, y,
                                      y_stride);
    }
    BlockGemm<W, kTokens>(panel, padded_cols, first, x, x_stride, rows, y, y_stride);
  }
}

template <WeightType W>
HWY_INLINE void PanelGemm(const std::byte* panel, size_t padded_cols, const float* x,
                          size_t x_stride, size_t tokens, size_t rows, float* y, size_t y_stride) {
  for (size_t t = 0; t < tokens; t += kTokenBlock) {
    for (size_t first = 0; first < rows; first += kLanes) {
      TailGemm<W, kTokenBlock>(panel, padded_cols, first, x + t * x_stride, x_stride,
                               std::min(kTokenBlock, tokens - t), rows, y + t * y_stride, y_stride);
    }
  }
}

template <WeightType W>
HWY_INLINE void FloatGemv(const TileMatrix& w, PanelRange panels, const FloatRows& x, float* y) {
  const size_t padded_cols = PaddedCols(W, w.cols);
  for (size_t p = panels.begin; p < panels.end; ++p)
    PanelGemv<W>(w.Panel(p), padded_cols, x.data, w.RowsOfPanel(p), y + p * kPanelRows);
}

template <WeightType W>
HWY_INLINE void FloatGemm(const TileMatrix& w, PanelRange panels, const FloatRows& x, size_t tokens,
                          float* y, size_t y_stride) {
  const size_t padded_cols = PaddedCols(W, w.cols);
  for (size_t p = panels.begin; p < panels.end; ++p) {
    PanelGemm<W>(w.Panel(p), padded_cols, x.data, x.stride, tokens, w.RowsOfPanel(p),
                 y + p * kPanelRows, y_stride);
  }
}

}  // namespace tvl::highway_portable

namespace tvl {

#define TVL_DEFINE(W)                                                                       \
  template <>                                                                               \
  void HighwayPortable::Gemv<W>(const TileMatrix& w, PanelRange panels, const FloatRows& x, \
                                float* y) noexcept {                                        \
    highway_portable::FloatGemv<W>(w, panels, x, y);                                        \
  }                                                                                         \
  template <>                                                                               \
  void HighwayPortable::Gemm<W>(const TileMatrix& w, PanelRange panels, const FloatRows& x, \
                                size_t tokens, float* y, size_t y_stride) noexcept {        \
    highway_portable::FloatGemm<W>(w, panels, x, tokens, y, y_stride);                      \
  }                                                                                         \
  static_assert(true)
TVL_DEFINE(WeightType::kF32);
TVL_DEFINE(WeightType::kF16);
TVL_DEFINE(WeightType::kBF16);
#undef TVL_DEFINE

// A row is one lane of every line: scalar loads, some microseconds, once per token.
template <WeightType W>
void HighwayPortable::EmbedRow(const TileMatrix& w, size_t row, float* out) noexcept {
  const std::byte* panel = w.Panel(row / kPanelRows);
  for (size_t c = 0; c < w.cols; ++c) out[c] = PanelWeight<W>(panel, row % kPanelRows, c);
}
template void HighwayPortable::EmbedRow<WeightType::kF32>(const TileMatrix&, size_t,
                                                          float*) noexcept;
template void HighwayPortable::EmbedRow<WeightType::kF16>(const TileMatrix&, size_t,
                                                          float*) noexcept;
template void HighwayPortable::EmbedRow<WeightType::kBF16>(const TileMatrix&, size_t,
                                                           float*) noexcept;
template void HighwayPortable::EmbedRow<WeightType::kQ8>(const TileMatrix&, size_t,
                                                         float*) noexcept;
template void HighwayPortable::EmbedRow<WeightType::kQ4>(const TileMatrix&, size_t,
                                                         float*) noexcept;
template void HighwayPortable::EmbedRow<WeightType::kQ4M>(const TileMatrix&, size_t,
                                                          float*) noexcept;

}  // namespace tvl
HWY_AFTER_NAMESPACE();
