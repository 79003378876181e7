#include "models/tile_packer.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/bfloat16.h"
#include "core/float16.h"
#include "models/quantize.h"

namespace tvl {
namespace {

// The 32 weights that begin at input k. REQUIRES: zeros where nibbles go.
void StoreBlock(WeightType type, const QuantizedBlock& block, size_t row, size_t k,
                std::byte* panel) {
  for (size_t i = 0; i < kQuantBlock; ++i) {
    const std::byte quant = static_cast<std::byte>(block.quants[i]);
    if (type == WeightType::kQ8) {
      panel[TileByteQ8(row, k + i)] = quant;
    } else {
      panel[TileByteQ4(type, row, k + i)] |= IsHighNibble(k + i) ? quant << 4 : quant;
    }
  }
  uint16_t* halves = reinterpret_cast<uint16_t*>(panel);
  halves[TileIndexScale(type, row, k)] = block.scale;
  if (type == WeightType::kQ4M) halves[TileIndexMinimum(row, k)] = block.minimum;
}

void PackQuantizedRow(WeightType type, const float* row, size_t cols, size_t r, std::byte* out) {
  for (size_t k = 0; k < PaddedCols(type, cols); k += kQuantBlock) {
    const bool padding = row == nullptr || k >= cols;
    const QuantizedBlock block =
        padding ? QuantizeBlock(type, nullptr, 0)
                : QuantizeBlock(type, row + k, std::min(kQuantBlock, cols - k));
    StoreBlock(type, block, r, k, out);
  }
}

}  // namespace

void PackPanel(WeightType type, const float* const* rows, size_t cols, std::byte* out) {
  std::memset(out, 0, PanelBytes(type, cols));
  float* singles = reinterpret_cast<float*>(out);
  uint16_t* halves = reinterpret_cast<uint16_t*>(out);
  for (size_t r = 0; r < kPanelRows; ++r) {
    const float* row = rows[r];
    if (IsQuantized(type)) {
      PackQuantizedRow(type, row, cols, r, out);
      continue;
    }
    if (row == nullptr) continue;
    for (size_t k = 0; k < cols; ++k) {
      if (type == WeightType::kF32) singles[TileIndexF32(r, k)] = row[k];
      if (type == WeightType::kF16) halves[TileIndexF16(r, k)] = F32ToF16(row[k]);
      if (type == WeightType::kBF16) halves[TileIndexBF16(r, k)] = F32ToBF16(row[k]);
    }
  }
}

}  // namespace tvl
