// Rows of f32 numbers into panels of tiles (models/TVL_FORMAT.md, "Tiles").
#ifndef TVL_MODELS_TILE_PACKER_H_
#define TVL_MODELS_TILE_PACKER_H_

#include <cstddef>

#include "core/tile.h"

namespace tvl {

// Writes one panel. rows: 16 pointers to `cols` floats each, null for a padding row. out:
// PanelBytes(type, cols) bytes, 64-byte aligned; all of it is written, padding included. f16 and
// bf16 round to nearest even, the others as models/quantize.h says.
void PackPanel(WeightType type, const float* const* rows, size_t cols, std::byte* out);

}  // namespace tvl

#endif  // TVL_MODELS_TILE_PACKER_H_
