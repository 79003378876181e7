// What packing has cost: the weights of a panel beside the numbers they were made of.
#ifndef TVL_MODELS_PANEL_LOSS_H_
#define TVL_MODELS_PANEL_LOSS_H_

#include <cstddef>

#include "core/tile.h"

namespace tvl {

struct SquaredLoss {
  double error = 0;  // sum of squared differences
  double norm = 0;   // sum of squares of the source

  SquaredLoss& operator+=(const SquaredLoss& other) {
    error += other.error;
    norm += other.norm;
    return *this;
  }
};

// rows: as PackPanel's (models/tile_packer.h), of which `panel` was made.
SquaredLoss MeasurePanel(WeightType type, const float* const* rows, size_t cols,
                         const std::byte* panel);

}  // namespace tvl

#endif  // TVL_MODELS_PANEL_LOSS_H_
