// Rows of f32 numbers into panels of tiles (models/TVL_FORMAT.md, "Tiles").
#ifndef TVL_MODELS_TILE_PACKER_H_
#define TVL_MODELS_TILE_PACKER_H_

#include <cstddef>
#include <functional>

#include "core/tile.h"
#include "models/quantize.h"
#include "models/quantize_k.h"

namespace tvl {

// Writes one panel. rows: 16 pointers to `cols` floats each, null for the rows of the padding,
// which come last. out: PanelBytes(type, cols) bytes, 64-byte aligned; all of it is written,
// padding included. f16 and bf16 round to nearest even, the quantised types as models/quantize.h
// and models/quantize_k.h say.
void PackPanel(WeightType type, const float* const* rows, size_t cols, std::byte* out);

// Writes one panel of blocks that are quantised already. block(r, b): inputs 32 * b and on of row
// r, which is below `rows`.
void PackBlocks(WeightType type, size_t rows, size_t cols,
                const std::function<QuantizedBlock(size_t r, size_t b)>& block, std::byte* out);

// The same of q4k, q5k and q6k. superblock(r, s, out): inputs 256 * s and on of row r.
void PackSuperblocks(
    WeightType type, size_t rows, size_t cols,
    const std::function<void(size_t r, size_t s, QuantizedSuperblock* out)>& superblock,
    std::byte* out);

}  // namespace tvl

#endif  // TVL_MODELS_TILE_PACKER_H_
