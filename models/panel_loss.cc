#include "models/panel_loss.h"

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
  switch (type) {
    case WeightType::kF32:
      return Measure<WeightType::kF32>(rows, cols, panel);
    case WeightType::kF16:
      return Measure<WeightType::kF16>(rows, cols, panel);
    case WeightType::kBF16:
      return Measure<WeightType::kBF16>(rows, cols, panel);
    case WeightType::kQ8:
      return Measure<WeightType::kQ8>(rows, cols, panel);
    case WeightType::kQ4:
      return Measure<WeightType::kQ4>(rows, cols, panel);
    case WeightType::kQ4M:
      return Measure<WeightType::kQ4M>(rows, cols, panel);
    case WeightType::kQ4K:
      return Measure<WeightType::kQ4K>(rows, cols, panel);
    case WeightType::kQ5K:
      return Measure<WeightType::kQ5K>(rows, cols, panel);
    case WeightType::kQ6K:
      return Measure<WeightType::kQ6K>(rows, cols, panel);
    case WeightType::kI8:
      break;  // no weights are of it
  }
  return {};
}

}  // namespace tvl
