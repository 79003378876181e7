// A product with several vectors: the loops around one block of weights, shared by the weight
// types.
//
//   for each panel                         its weights come from DRAM once
//     for each group of up to 24 tokens
//       for each block of 128 k            f32 by now: other types are widened once for the group
//         for each 6 tokens of the group
//           for each of the four chains    a pass over every fourth line: 16 rows x 6 tokens
//
// A pass keeps 24 sums in registers, beside 4 of weights and 2 of x. A step loads 4 + 6 registers
// for 24 FMLA, so that the arithmetic is the limit (12 cycles with two pipes), and it uses a line
// whole. All four chains at once would fill the 24 registers with 4 rows and take a quarter of each
// line. Between blocks the sums rest in memory: 24 loads and stores in 32 steps.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_GEMM_BLOCK_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_GEMM_BLOCK_H_

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "core/tensor_view.h"
#include "core/tile.h"

namespace tvl::neon {

// Weights (8 KB), sums (6 KB) and inputs (12 KB) of a block and a group fit the smallest L1, 32 KB.
inline constexpr size_t kBlockCols = 128;
inline constexpr size_t kGroupTokens = 24;
inline constexpr size_t kPassTokens = 6;
inline constexpr size_t kTokenSums = kDotChains * kPanelRows;

// sums[t][chain][row] += the products of one block.
//   w:     (4 * steps, 16), f32
//   x:     (tokens, x_stride), from the block's first k; 1 <= tokens <= kGroupTokens
//   sums:  (tokens, kDotChains, 16)
//   ahead: the weights that follow, prefetched at the rate of one line per line of w
void AddBlock(const float* w, size_t steps, const float* x, size_t x_stride, size_t tokens,
              float* sums, const std::byte* ahead) noexcept;

// The dots of the first `rows` rows. sums: (tokens, kDotChains, 16).
void StoreDots(const float* sums, size_t tokens, size_t rows, float* y, size_t y_stride) noexcept;

// Calls f(begin, size) for parts of at most `most` that differ by one at most: 7 tokens are 4 + 3,
// since a pass for a single token costs nearly what one for four does.
template <typename F>
void SplitEvenly(size_t n, size_t most, F&& f) {
  size_t begin = 0;
  for (size_t parts = (n + most - 1) / most; parts > 0; --parts) {
    const size_t size = (n - begin + parts - 1) / parts;
    f(begin, size);
    begin += size;
  }
}

// Where the weights go on after panel p of the range; see WeightStream.
inline const std::byte* FollowingPanel(const TileMatrix& w, PanelRange panels, size_t p,
                                       size_t bytes) {
  return p + 1 < panels.end ? w.Panel(p + 1) : w.Panel(p) + bytes;
}

// Runs the loops above. widen(block, cols) gives the weights of a block in f32.
template <WeightType W, typename Widen>
void GemmPanels(const TileMatrix& w, PanelRange panels, const float* x, size_t x_stride,
                size_t tokens, float* y, size_t y_stride, Widen&& widen) {
  const size_t padded_cols = PaddedCols(W, w.cols);
  const size_t panel_bytes = PanelBytes(W, w.cols);
  alignas(kLineBytes) float sums[kGroupTokens * kTokenSums];
  for (size_t p = panels.begin; p < panels.end; ++p) {
    const std::byte* panel = w.Panel(p);
    SplitEvenly(tokens, kGroupTokens, [&](size_t begin, size_t size) {
      std::memset(sums, 0, size * kTokenSums * sizeof(float));
      for (size_t k = 0; k < padded_cols; k += kBlockCols) {
        const size_t cols = std::min(kBlockCols, padded_cols - k);
        const std::byte* block = panel + PanelBytes(W, k);
        const bool last = k + cols == padded_cols;
        const std::byte* ahead =
            last ? FollowingPanel(w, panels, p, panel_bytes) : block + PanelBytes(W, cols);
        AddBlock(widen(block, cols), cols / kDotChains, x + begin * x_stride + k, x_stride, size,
                 sums, ahead);
      }
      StoreDots(sums, size, w.RowsOfPanel(p), y + begin * y_stride + p * kPanelRows, y_stride);
    });
  }
}

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_GEMM_BLOCK_H_
