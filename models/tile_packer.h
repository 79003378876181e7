// Rows of f32 numbers into panels of tiles (models/TVL_FORMAT.md, "Tiles").
#ifndef TVL_MODELS_TILE_PACKER_H_
#define TVL_MODELS_TILE_PACKER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/float16.h"
#include "core/tile.h"

namespace tvl {

// Types that PackPanel can write.
constexpr bool IsPackable(WeightType type) {
  return type == WeightType::kF32 || type == WeightType::kF16;
}

// Writes one panel. rows: 16 pointers to `cols` floats each, null for a padding row. out:
// PanelBytes(type, cols) bytes, 64-byte aligned; all of it is written, padding as +0. f16 rounds to
// nearest even. REQUIRES: IsPackable(type).
inline void PackPanel(WeightType type, const float* const* rows, size_t cols, std::byte* out) {
  std::memset(out, 0, PanelBytes(type, cols));
  for (size_t r = 0; r < kPanelRows; ++r) {
    const float* row = rows[r];
    if (row == nullptr) continue;
    if (type == WeightType::kF32) {
      float* panel = reinterpret_cast<float*>(out);
      for (size_t k = 0; k < cols; ++k) panel[TileIndexF32(r, k)] = row[k];
    } else {
      uint16_t* panel = reinterpret_cast<uint16_t*>(out);
      for (size_t k = 0; k < cols; ++k) panel[TileIndexF16(r, k)] = F32ToF16(row[k]);
    }
  }
}

}  // namespace tvl

#endif  // TVL_MODELS_TILE_PACKER_H_
