// One weight of a panel: what the layout of each type means, element by element.
#ifndef TVL_CORE_TILE_WEIGHT_H_
#define TVL_CORE_TILE_WEIGHT_H_

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "core/bfloat16.h"
#include "core/float16.h"
#include "core/tile.h"

namespace tvl {

// The integer that stands for row `row` (0..15) and input k (below PaddedCols): of q8 the quant, of
// q4 the quant less 8, of q4m the quant.
template <WeightType W>
requires(IsQuantized(W)) inline int32_t PanelQuant(const std::byte* panel, size_t row, size_t k) {
  if constexpr (W == WeightType::kQ8) {
    return std::to_integer<int8_t>(panel[TileByteQ8(row, k)]);
  } else {
    const uint32_t both = std::to_integer<uint32_t>(panel[TileByteQ4(W, row, k)]);
    const int32_t quant = static_cast<int32_t>(IsHighNibble(k) ? both >> 4 : both & 0xf);
    return W == WeightType::kQ4 ? quant - 8 : quant;
  }
}

// The scale of the block that input k is in, widened to f32.
template <WeightType W>
requires(IsQuantized(W)) inline float PanelScale(const std::byte* panel, size_t row, size_t k) {
  return F16ToF32(reinterpret_cast<const uint16_t*>(panel)[TileIndexScale(W, row, k)]);
}

// The minimum of that block, of q4m.
inline float PanelMinimum(const std::byte* panel, size_t row, size_t k) {
  return F16ToF32(reinterpret_cast<const uint16_t*>(panel)[TileIndexMinimum(row, k)]);
}

// Row `row` (0..15) and input k (below PaddedCols) of the panel in f32: widened, which is exact; of
// the quantised types scale * quant (q8), scale * (quant - 8) (q4) and fma(quant, scale, minimum)
// (q4m), rounded once.
template <WeightType W>
inline float PanelWeight(const std::byte* panel, size_t row, size_t k) {
  if constexpr (W == WeightType::kF32) {
    return reinterpret_cast<const float*>(panel)[TileIndexF32(row, k)];
  } else if constexpr (W == WeightType::kF16) {
    return F16ToF32(reinterpret_cast<const uint16_t*>(panel)[TileIndexF16(row, k)]);
  } else if constexpr (W == WeightType::kBF16) {
    return BF16ToF32(reinterpret_cast<const uint16_t*>(panel)[TileIndexBF16(row, k)]);
  } else if constexpr (W == WeightType::kI8) {
    return static_cast<float>(std::to_integer<int8_t>(panel[TileIndexI8(row, k)]));
  } else {
    const float quant = static_cast<float>(PanelQuant<W>(panel, row, k));
    const float scale = PanelScale<W>(panel, row, k);
    if constexpr (W == WeightType::kQ4M) {
      return std::fma(quant, scale, PanelMinimum(panel, row, k));
    } else {
      return scale * quant;
    }
  }
}

}  // namespace tvl

#endif  // TVL_CORE_TILE_WEIGHT_H_
