#include "models/panel_loss.h"

#include "core/kernel.h"
#include "core/tile_weight.h"

namespace tvl {
namespace {

template <WeightType W>
SquaredLoss Measure(const float* const* rows, size_t cols, const std::byte* panel) {
  SquaredLoss loss;
  for (size_t r = 0; r < kPanelRows && rows[r] != nullptr; ++r) {
    for (size_t k = 0; k < cols; ++k) {
      const double x = rows[r][k];
      const double error = x - static_cast<double>(PanelWeight<W>(panel, r, k));
      loss += {error * error, x * x};
    }
  }
  return loss;
}

}  // namespace

SquaredLoss MeasurePanel(WeightType type, const float* const* rows, size_t cols,
                         const std::byte* panel) {
  SquaredLoss loss;
  WithWeightType(type, [&]<WeightType W>() {
    if constexpr (W != WeightType::kI8) loss = Measure<W>(rows, cols, panel);
  });
  return loss;
}

}  // namespace tvl
