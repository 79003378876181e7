#include "my_backend/column_wise.h"

#include <cmath>
#include <cstddef>

// The whole panel at once, a column at a time; scalar_reference goes row by row. Each sum still
// gets its terms in the order of core/kernel.h.
void ColumnWise::GemvF32(const tvl::TileMatrix& w, tvl::PanelRange panels, const float* x,
                         float* y) noexcept {
  const size_t padded_cols = tvl::PaddedCols(tvl::WeightType::kF32, w.cols);
  for (size_t panel = panels.begin; panel < panels.end; ++panel) {
    const float* column = reinterpret_cast<const float*>(w.Panel(panel));
    float p[tvl::kDotChains][tvl::kPanelRows] = {};
    for (size_t k = 0; k < padded_cols; ++k, column += tvl::kPanelRows) {
      float* sums = p[k % tvl::kDotChains];
      for (size_t r = 0; r < tvl::kPanelRows; ++r) sums[r] = std::fma(column[r], x[k], sums[r]);
    }
    for (size_t r = 0; r < w.RowsOfPanel(panel); ++r) {
      y[panel * tvl::kPanelRows + r] = (p[0][r] + p[1][r]) + (p[2][r] + p[3][r]);
    }
  }
}
