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

inline constexpr size_t kB = HighwayPortable::kFloatBatch;

// Where chain c of a batch begins.
HWY_INLINE const float* ChainOf(const float* batch, size_t stride, size_t c) {
  return batch + c * (stride / kDotChains) * kB;
}

// Up to so many tokens take one pass with all four chains, as long as their sums fit the registers.
inline constexpr size_t kFewTokens = kRegisters == 32 ? 6 : 3;

// kTokens tokens with kLanes rows of a panel.
template <WeightType W, size_t kTokens>
HWY_INLINE void FewTokens(const std::byte* panel, size_t padded_cols, size_t first,
                          const float* HWY_RESTRICT x, size_t x_stride, size_t rows,
                          float* HWY_RESTRICT y, size_t y_stride) {
  V chain[kTokens][kDotChains];
  for (size_t t = 0; t < kTokens; ++t) {
    for (size_t c = 0; c < kDotChains; ++c) chain[t][c] = hn::Zero(d);
  }
  const float* HWY_RESTRICT xc[kDotChains];
  for (size_t c = 0; c < kDotChains; ++c) xc[c] = ChainOf(x, x_stride, c);
  for (size_t k = 0; k < padded_cols; k += kDotChains) {
    const std::byte* quad = panel + k / kDotChains * PanelBytes(W, kDotChains);
    for (size_t c = 0; c < kDotChains; ++c) {
      const V w = LoadWeights<W>(quad, c, first);
      for (size_t t = 0; t < kTokens; ++t)
        chain[t][c] = hn::MulAdd(w, hn::Set(d, xc[c][k / kDotChains * kB + t]), chain[t][c]);
    }
  }
  for (size_t t = 0; t < kTokens; ++t) StoreDots(chain[t], first, rows, y + t * y_stride);
}

// More tokens: all four chains at once would leave room for a quarter of the sums, and a line of
// weights would serve as many fewer tokens. So each chain takes passes of its own:
//
//   for each one or two panels               their weights come from DRAM once
//     for each group of up to 264 tokens
//       for each block of 1024 k
//         for each of the four chains        its lines widened to f32, once for the group
//           for each batch of the group      a pass: 12 tokens x 32 rows
//
// Between blocks the sums rest in memory.
inline constexpr size_t kBlockCols = 1024;
inline constexpr size_t kGroupTokens = 264 / kB * kB;
inline constexpr size_t kBatchSums = kDotChains * kB * kPanelRows;  // of one panel

// One pass: kTokens tokens with kPanels panels, one chain.
//   w: the first line of each panel, f32; further ones follow at `step` floats
//   x: the chain of the batch
//   sums: (kPanels, kBatchSums), from the chain on; (kB, 16) each
//   ahead: of each panel what to prefetch, kAheadBytes per step; null for nothing
template <size_t kAheadBytes, size_t kPanels, size_t kTokens>
HWY_INLINE void AddChain(const float* const (&w)[kPanels], size_t step, size_t steps,
                         const float* HWY_RESTRICT x, bool first, float* HWY_RESTRICT sums,
                         const std::byte* ahead, size_t ahead_panel) {
  V sum[kPanels][kTokens][kVectors];
  const auto at = [sums](size_t p, size_t t, size_t v)
                      HWY_ATTR { return sums + p * kBatchSums + t * kPanelRows + v * kLanes; };
  for (size_t p = 0; p < kPanels; ++p) {
    for (size_t t = 0; t < kTokens; ++t) {
      for (size_t v = 0; v < kVectors; ++v)
        sum[p][t][v] = first ? hn::Zero(d) : hn::Load(d, at(p, t, v));
    }
  }
  size_t line = 0;
  for (size_t k = 0; k < steps; ++k, x += kB, line += step) {
    if (ahead != nullptr) {
      for (size_t p = 0; p < kPanels; ++p)
        __builtin_prefetch(ahead + p * ahead_panel + k * kAheadBytes, 0, 2);
    }
    V wk[kPanels][kVectors];
    for (size_t p = 0; p < kPanels; ++p) {
      for (size_t v = 0; v < kVectors; ++v) wk[p][v] = hn::Load(d, w[p] + line + v * kLanes);
    }
    for (size_t t = 0; t < kTokens; ++t) {
      const V xt = hn::Set(d, x[t]);
      for (size_t p = 0; p < kPanels; ++p) {
        for (size_t v = 0; v < kVectors; ++v) sum[p][t][v] = hn::MulAdd(wk[p][v], xt, sum[p][t][v]);
      }
    }
  }
  for (size_t p = 0; p < kPanels; ++p) {
    for (size_t t = 0; t < kTokens; ++t) {
      for (size_t v = 0; v < kVectors; ++v) hn::Store(sum[p][t][v], d, at(p, t, v));
    }
  }
}

// Every fourth line from line c on, widened.
template <WeightType W>
HWY_INLINE void WidenChain(const std::byte* block, size_t steps, size_t c, float* HWY_RESTRICT to) {
  for (size_t k = 0; k < steps; ++k) {
    for (size_t v = 0; v < kVectors; ++v) {
      hn::Store(LoadWeights<W>(block + k * PanelBytes(W, kDotChains), c, v * kLanes), d,
                to + k * kPanelRows + v * kLanes);
    }
  }
}

// A group of tokens with one or two panels.
template <WeightType W, size_t kPanels>
class GroupGemm {
 public:
  HWY_INLINE GroupGemm(const TileMatrix& w, size_t first_panel)
      : w_(w), first_panel_(first_panel) {}

  // x: the group's first batch; y: of its first token, where row 0 of the matrix is.
  HWY_INLINE void Run(const FloatRows& x, size_t tokens, float* HWY_RESTRICT y, size_t y_stride) {
    const size_t padded_cols = PaddedCols(W, w_.cols);
    for (size_t k = 0; k < padded_cols; k += kBlockCols)
      AddBlock(k, std::min(kBlockCols, padded_cols - k), x, tokens);
    for (size_t t = 0; t < tokens; ++t) {
      for (size_t p = 0; p < kPanels; ++p) {
        const float* sums = Sums(t / kB, p) + t % kB * kPanelRows;
        const size_t panel = first_panel_ + p;
        for (size_t v = 0; v < kVectors; ++v) {
          V chain[kDotChains];
          for (size_t c = 0; c < kDotChains; ++c)
            chain[c] = hn::Load(d, sums + c * kB * kPanelRows + v * kLanes);
          StoreDots(chain, v * kLanes, w_.RowsOfPanel(panel),
                    y + t * y_stride + panel * kPanelRows);
        }
      }
    }
  }

 private:
  HWY_INLINE float* Sums(size_t batch, size_t p) {
    return sums_ + (batch * kPanels + p) * kBatchSums;
  }

  HWY_INLINE void AddBlock(size_t k, size_t cols, const FloatRows& x, size_t tokens) {
    const size_t steps = cols / kDotChains;
    // While the first batch is computed the panels that follow are asked for, a quarter in each
    // chain.
    constexpr size_t kAheadBytes = PanelBytes(W, kDotChains) / kDotChains;
    const size_t panel_bytes = PanelBytes(W, w_.cols);
    const std::byte* next = w_.Panel(first_panel_) + kPanels * panel_bytes + PanelBytes(W, k);
    for (size_t c = 0; c < kDotChains; ++c) {
      const float* lines[kPanels];
      size_t step = kPanelRows;
      for (size_t p = 0; p < kPanels; ++p) {
        const std::byte* block = w_.Panel(first_panel_ + p) + PanelBytes(W, k);
        if constexpr (W == WeightType::kF32) {
          lines[p] = reinterpret_cast<const float*>(block) + c * kPanelRows;
          step = kDotChains * kPanelRows;
        } else {
          WidenChain<W>(block, steps, c, wide_[p]);
          lines[p] = wide_[p];
        }
      }
      for (size_t t = 0; t < tokens; t += kB) {
        const float* xc = ChainOf(x.Row(t), x.stride, c) + k / kDotChains * kB;
        float* sums = Sums(t / kB, 0) + c * kB * kPanelRows;
        WithPassTokens<kB>(std::min(kB, tokens - t), [&]<size_t kTokens>() HWY_ATTR {
          AddChain<kAheadBytes, kPanels, kTokens>(lines, step, steps, xc, k == 0, sums,
                                                  t == 0 ? next + c * steps * kAheadBytes : nullptr,
                                                  panel_bytes);
        });
      }
    }
  }

  const TileMatrix& w_;
  const size_t first_panel_;
  HWY_ALIGN float sums_[kGroupTokens / kB * kPanels * kBatchSums];
  HWY_ALIGN float wide_[kPanels][W == WeightType::kF32 ? 1 : kBlockCols / kDotChains * kPanelRows];
};

template <WeightType W>
HWY_INLINE void FloatGemv(const TileMatrix& w, PanelRange panels, const FloatRows& x, float* y) {
  const size_t padded_cols = PaddedCols(W, w.cols);
  for (size_t p = panels.begin; p < panels.end; ++p)
    PanelGemv<W>(w.Panel(p), padded_cols, x.data, w.RowsOfPanel(p), y + p * kPanelRows);
}

template <WeightType W>
HWY_INLINE void FloatGemm(const TileMatrix& w, PanelRange panels, const FloatRows& x, size_t tokens,
                          float* y, size_t y_stride) {
  if (tokens <= kFewTokens) {
    const size_t padded_cols = PaddedCols(W, w.cols);
    for (size_t p = panels.begin; p < panels.end; ++p) {
      for (size_t first = 0; first < w.RowsOfPanel(p); first += kLanes) {
        ExactTokens<kFewTokens>(tokens, [&]<size_t kTokens>() HWY_ATTR {
          FewTokens<W, kTokens>(w.Panel(p), padded_cols, first, x.data, x.stride, w.RowsOfPanel(p),
                                y + p * kPanelRows, y_stride);
        });
      }
    }
    return;
  }
  ForPasses(panels, [&]<size_t kPanels>(size_t first) HWY_ATTR {
    GroupGemm<W, kPanels> gemm(w, first);
    for (size_t t = 0; t < tokens; t += kGroupTokens)
      gemm.Run(x.From(t), std::min(kGroupTokens, tokens - t), y + t * y_stride, y_stride);
  });
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
TVL_DEFINE(WeightType::kI8);
#undef TVL_DEFINE

// A row is one lane of every line: scalar loads, some microseconds, once per token.
template <WeightType W>
void HighwayPortable::EmbedRow(const TileMatrix& w, size_t row, float* out) noexcept {
  const std::byte* panel = w.Panel(row / kPanelRows);
  for (size_t c = 0; c < w.cols; ++c) out[c] = PanelWeight<W>(panel, row % kPanelRows, c);
}
#define TVL_INSTANTIATE(W) \
  template void HighwayPortable::EmbedRow<W>(const TileMatrix&, size_t, float*) noexcept
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

}  // namespace tvl
HWY_AFTER_NAMESPACE();
