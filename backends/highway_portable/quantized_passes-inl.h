// Products of quantised weights pass by pass: the sums of a pass, and the walk over panels and
// batches. What a pass adds is its type's: quantized_products.cc, k_quant_products.cc.
//
// Included inside HWY_BEFORE_NAMESPACE / HWY_AFTER_NAMESPACE only.
#ifndef TVL_BACKENDS_HIGHWAY_PORTABLE_QUANTIZED_PASSES_INL_H_
#define TVL_BACKENDS_HIGHWAY_PORTABLE_QUANTIZED_PASSES_INL_H_

#include <algorithm>
#include <cstddef>

#include "backends/highway_portable/highway_portable.h"
#include "backends/highway_portable/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tvl::highway_portable {

// The dots of kPanels panels with kTokens rows of x, as far as they are summed.
template <size_t kPanels, size_t kTokens>
struct PassDots {
  HWY_INLINE PassDots() {
    for (size_t p = 0; p < kPanels; ++p) {
      for (size_t t = 0; t < kTokens; ++t) {
        for (size_t v = 0; v < kVectors; ++v) acc[p][t][v] = hn::Zero(d);
      }
    }
  }

  // y: row 0 of the first panel of token 0.
  HWY_INLINE void Store(const size_t (&rows)[kPanels], size_t tokens, float* HWY_RESTRICT y,
                        size_t y_stride) const {
    for (size_t t = 0; t < kTokens; ++t) {
      if (t == tokens) return;
      for (size_t p = 0; p < kPanels; ++p) {
        for (size_t v = 0; v < kVectors; ++v)
          StoreRows(acc[p][t][v], v * kLanes, rows[p], y + t * y_stride + p * kPanelRows);
      }
    }
  }

  V acc[kPanels][kTokens][kVectors];
};

// Pass<W, kPanels, kTokens, kB>(x) takes kTokens rows of x, of a batch of kB, with kPanels panels:
//   Add(panels, padded_cols, ahead)   `ahead`: whether the panels come from memory, and not from
//                                     the cache as for later batches
//   dots()                            a PassDots
template <template <WeightType, size_t, size_t, size_t> class Pass, WeightType W>
HWY_INLINE void QuantizedGemv(const TileMatrix& w, PanelRange panels, const QuantizedRows& x,
                              float* y) {
  const size_t padded_cols = PaddedCols(W, w.cols);
  for (size_t p = panels.begin; p < panels.end; ++p) {
    Pass<W, 1, 1, 1> pass(x);
    pass.Add({w.Panel(p)}, padded_cols, /*ahead=*/true);
    pass.dots().Store({w.RowsOfPanel(p)}, 1, y + p * kPanelRows, 0);
  }
}

template <template <WeightType, size_t, size_t, size_t> class Pass, WeightType W>
HWY_INLINE void QuantizedGemm(const TileMatrix& w, PanelRange panels, const QuantizedRows& x,
                              size_t tokens, float* y, size_t y_stride) {
  constexpr size_t kB = HighwayPortable::kQuantBatch;
  const size_t padded_cols = PaddedCols(W, w.cols);
  ForPasses(panels, [&]<size_t kPanels>(size_t first) HWY_ATTR {
    const std::byte* panel[kPanels];
    size_t rows[kPanels];
    for (size_t p = 0; p < kPanels; ++p) {
      panel[p] = w.Panel(first + p);
      rows[p] = w.RowsOfPanel(first + p);
    }
    for (size_t t = 0; t < tokens; t += kB) {
      WithPassTokens<kB>(std::min(kB, tokens - t), [&]<size_t kTokens>() HWY_ATTR {
        Pass<W, kPanels, kTokens, kB> pass(x.From(t));
        pass.Add(panel, padded_cols, /*ahead=*/t == 0);
        pass.dots().Store(rows, std::min(kTokens, tokens - t),
                          y + t * y_stride + first * kPanelRows, y_stride);
      });
    }
  });
}

// Gemv and Gemm of one type by its passes, outside of this namespace.
#define TVL_DEFINE_QUANTIZED(Pass, W)                                                              \
  template <>                                                                                      \
  void HighwayPortable::Gemv<W>(const TileMatrix& w, PanelRange panels, const QuantizedRows& x,    \
                                float* y) noexcept {                                               \
    highway_portable::QuantizedGemv<highway_portable::Pass, W>(w, panels, x, y);                   \
  }                                                                                                \
  template <>                                                                                      \
  void HighwayPortable::Gemm<W>(const TileMatrix& w, PanelRange panels, const QuantizedRows& x,    \
                                size_t tokens, float* y, size_t y_stride) noexcept {               \
    highway_portable::QuantizedGemm<highway_portable::Pass, W>(w, panels, x, tokens, y, y_stride); \
  }                                                                                                \
  static_assert(true)

}  // namespace tvl::highway_portable
HWY_AFTER_NAMESPACE();

#endif  // TVL_BACKENDS_HIGHWAY_PORTABLE_QUANTIZED_PASSES_INL_H_
