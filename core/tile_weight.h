// One weight of a panel, widened to f32: what the layout of each type means, element by element.
#ifndef TVL_CORE_TILE_WEIGHT_H_
#define TVL_CORE_TILE_WEIGHT_H_

#include <cstddef>
#include <cstdint>

#include "core/bfloat16.h"
#include "core/float16.h"
#include "core/tile.h"

namespace tvl {

// Row `row` (0..15) and input k (below PaddedCols) of the panel; exact.
template <WeightType W>
requires(W == WeightType::kF32 || W == WeightType::kF16 ||
         W == WeightType::kBF16) inline float PanelWeight(const std::byte* panel, size_t row,
                                                          size_t k) {
  if constexpr (W == WeightType::kF32) {
    return reinterpret_cast<const float*>(panel)[TileIndexF32(row, k)];
  } else if constexpr (W == WeightType::kF16) {
    return F16ToF32(reinterpret_cast<const uint16_t*>(panel)[TileIndexF16(row, k)]);
  } else {
    return BF16ToF32(reinterpret_cast<const uint16_t*>(panel)[TileIndexBF16(row, k)]);
  }
}

}  // namespace tvl

#endif  // TVL_CORE_TILE_WEIGHT_H_
