#include "models/tile_packer.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/bfloat16.h"
#include "core/float16.h"

namespace tvl {
namespace {

// The 32 weights that begin at input k: by quads, which lie side by side. (One by one they took
// three times as long.)
void StoreBlock(WeightType type, const QuantizedBlock& block, size_t row, size_t k,
                std::byte* panel) {
  constexpr size_t kQuad = 4;
  const auto quad = [&](size_t i) {
    uint32_t quants;
    std::memcpy(&quants, block.quants + i, kQuad);
    return quants;
  };
  if (type == WeightType::kQ8) {
    for (size_t i = 0; i < kQuantBlock; i += kQuad)
      std::memcpy(panel + TileByteQ8(row, k + i), block.quants + i, kQuad);
  } else {
    for (size_t i = 0; i < kQuantBlock; i += 2 * kQuad) {
      static_assert(!IsHighNibble(0) && IsHighNibble(kQuad));
      const uint32_t both = quad(i) | quad(i + kQuad) << 4;
      std::memcpy(panel + TileByteQ4(type, row, k + i), &both, kQuad);
    }
  }
  uint16_t* halves = reinterpret_cast<uint16_t*>(panel);
  halves[TileIndexScale(type, row, k)] = block.scale;
  if (type == WeightType::kQ4M) halves[TileIndexMinimum(row, k)] = block.minimum;
}

}  // namespace

void PackBlocks(WeightType type, size_t rows, size_t cols,
                const std::function<QuantizedBlock(size_t r, size_t b)>& block, std::byte* out) {
  const QuantizedBlock padding = QuantizeBlock(type, nullptr, 0);
  for (size_t r = 0; r < kPanelRows; ++r) {
    for (size_t k = 0; k < PaddedCols(type, cols); k += kQuantBlock) {
      const bool beyond = r >= rows || k >= cols;
      StoreBlock(type, beyond ? padding : block(r, k / kQuantBlock), r, k, out);
    }
  }
}

void PackPanel(WeightType type, const float* const* rows, size_t cols, std::byte* out) {
  if (IsQuantized(type)) {
    const size_t count = static_cast<size_t>(std::find(rows, rows + kPanelRows, nullptr) - rows);
    const auto quantize = [&](size_t r, size_t b) {
      const size_t k = b * kQuantBlock;
      return QuantizeBlock(type, rows[r] + k, std::min(kQuantBlock, cols - k));
    };
    return PackBlocks(type, count, cols, quantize, out);
  }
  std::memset(out, 0, PanelBytes(type, cols));
  float* singles = reinterpret_cast<float*>(out);
  uint16_t* halves = reinterpret_cast<uint16_t*>(out);
  for (size_t r = 0; r < kPanelRows && rows[r] != nullptr; ++r) {
    const float* row = rows[r];
    for (size_t k = 0; k < cols; ++k) {
      if (type == WeightType::kF32) singles[TileIndexF32(r, k)] = row[k];
      if (type == WeightType::kF16) halves[TileIndexF16(r, k)] = F32ToF16(row[k]);
      if (type == WeightType::kBF16) halves[TileIndexBF16(r, k)] = F32ToBF16(row[k]);
    }
  }
}

}  // namespace tvl
