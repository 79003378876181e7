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

// The integer that stands for row `row` (0..15) and input k (below PaddedCols): of q8, q4m, q4k and
// q5k the quant, of q4 the quant less 8, of q6k the quant less 32.
template <WeightType W>
requires(IsQuantized(W)) inline int32_t PanelQuant(const std::byte* panel, size_t row, size_t k) {
  if constexpr (W == WeightType::kQ8) {
    return std::to_integer<int8_t>(panel[TileByteQ8(row, k)]);
  } else {
    const size_t byte = IsKQuant(W) ? TileByteKLow(W, row, k) : TileByteQ4(W, row, k);
    const uint32_t both = std::to_integer<uint32_t>(panel[byte]);
    const int32_t low = static_cast<int32_t>(IsHighNibble(k) ? both >> 4 : both & 0xf);
    if constexpr (W == WeightType::kQ4) return low - 8;
    if constexpr (W == WeightType::kQ5K || W == WeightType::kQ6K) {
      const uint32_t bits =
          std::to_integer<uint32_t>(panel[TileByteKHigh(W, row, k)]) >> KHighShift(W, k);
      if constexpr (W == WeightType::kQ5K) return low | static_cast<int32_t>(bits & 1) << 4;
      return (low | static_cast<int32_t>(bits & 3) << 4) - 32;
    }
    return low;
  }
}

// The scale of the block that input k is in, widened to f32; of q4k, q5k and q6k the product of the
// block's integer and the superblock's number, which is exact.
template <WeightType W>
requires(IsQuantized(W)) inline float PanelScale(const std::byte* panel, size_t row, size_t k) {
  const uint16_t* halves = reinterpret_cast<const uint16_t*>(panel);
  if constexpr (IsKQuant(W)) {
    const std::byte integer = panel[TileByteKScale(W, row, k)];
    const int32_t scale = W == WeightType::kQ6K ? std::to_integer<int8_t>(integer)
                                                : std::to_integer<int32_t>(integer);
    return F16ToF32(halves[TileIndexKScale(W, row, k)]) * static_cast<float>(scale);
  } else {
    return F16ToF32(halves[TileIndexScale(W, row, k)]);
  }
}

// What is added to the weights of that block: of q4m its minimum, of q4k and q5k its minimum with
// the other sign, again an exact product.
template <WeightType W>
requires(HasMinima(W)) inline float PanelMinimum(const std::byte* panel, size_t row, size_t k) {
  const uint16_t* halves = reinterpret_cast<const uint16_t*>(panel);
  if constexpr (IsKQuant(W)) {
    const int32_t minimum = std::to_integer<int32_t>(panel[TileByteKMinimum(W, row, k)]);
    return -(F16ToF32(halves[TileIndexKMinimum(W, row, k)]) * static_cast<float>(minimum));
  } else {
    return F16ToF32(halves[TileIndexMinimum(row, k)]);
  }
}

// Row `row` (0..15) and input k (below PaddedCols) of the panel in f32: widened, which is exact; of
// the quantised types PanelQuant * PanelScale and, where there are minima, fma(PanelQuant,
// PanelScale, PanelMinimum), rounded once. Of q4k, q5k and q6k that is to the bit what ggml
// dequantises a block to.
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
    if constexpr (HasMinima(W)) {
      return std::fma(quant, scale, PanelMinimum<W>(panel, row, k));
    } else {
      return scale * quant;
    }
  }
}

}  // namespace tvl

#endif  // TVL_CORE_TILE_WEIGHT_H_
