// Rows of f32 numbers into panels of tiles (models/TVL_FORMAT.md, "Tiles").
#ifndef TVL_MODELS_TILE_PACKER_H_
#define TVL_MODELS_TILE_PACKER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/bfloat16.h"
#include "core/float16.h"
#include "core/tile.h"

namespace tvl {

// Types that PackPanel can write.
inline constexpr WeightType kPackableTypes[] = {WeightType::kF32, WeightType::kF16,
                                                WeightType::kBF16};

constexpr bool IsPackable(WeightType type) {
  for (const WeightType packable : kPackableTypes) {
    if (type == packable) return true;
  }
  return false;
}

// Writes one panel. rows: 16 pointers to `cols` floats each, null for a padding row. out:
// PanelBytes(type, cols) bytes, 64-byte aligned; all of it is written, padding as +0. f16 and bf16
// round to nearest even. REQUIRES: IsPackable(type).
inline void PackPanel(WeightType type, const float* const* rows, size_t cols, std::byte* out) {
  std::memset(out, 0, PanelBytes(type, cols));
  for (size_t r = 0; r < kPanelRows; ++r) {
    const float* row = rows[r];
    if (row == nullptr) continue;
    float* singles = reinterpret_cast<float*>(out);
    uint16_t* halves = reinterpret_cast<uint16_t*>(out);
    switch (type) {
      case WeightType::kF16:
        for (size_t k = 0; k < cols; ++k) halves[TileIndexF16(r, k)] = F32ToF16(row[k]);
        break;
      case WeightType::kBF16:
        for (size_t k = 0; k < cols; ++k) halves[TileIndexBF16(r, k)] = F32ToBF16(row[k]);
        break;
      default:
        for (size_t k = 0; k < cols; ++k) singles[TileIndexF32(r, k)] = row[k];
    }
  }
}

}  // namespace tvl

#endif  // TVL_MODELS_TILE_PACKER_H_
