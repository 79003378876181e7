#include "models/tile_packer.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>

#include "core/bfloat16.h"
#include "core/float16.h"

namespace tvl {
namespace {

// Block b of the 16 rows: line by line, each of 16 quads. (Row by row, with 64 bytes from store to
// store, it took twice as long.)
void StoreBlocks(WeightType type, const QuantizedBlock (&rows)[kPanelRows], size_t b,
                 std::byte* panel) {
  constexpr size_t kQuad = 4;
  const auto quad = [&](size_t row, size_t i) {
    uint32_t quants;
    std::memcpy(&quants, rows[row].quants + i, kQuad);
    return quants;
  };
  uint32_t line[kPanelRows];
  const size_t k = b * kQuantBlock;
  if (type == WeightType::kQ8) {
    for (size_t i = 0; i < kQuantBlock; i += kQuad) {
      for (size_t r = 0; r < kPanelRows; ++r) line[r] = quad(r, i);
      std::memcpy(panel + TileByteQ8(0, k + i), line, kLineBytes);
    }
  } else {
    for (size_t i = 0; i < kQuantBlock; i += 2 * kQuad) {
      static_assert(!IsHighNibble(0) && IsHighNibble(kQuad));
      for (size_t r = 0; r < kPanelRows; ++r) line[r] = quad(r, i) | quad(r, i + kQuad) << 4;
      std::memcpy(panel + TileByteQ4(type, 0, k + i), line, kLineBytes);
    }
  }
  uint16_t* halves = reinterpret_cast<uint16_t*>(panel);
  for (size_t r = 0; r < kPanelRows; ++r) halves[TileIndexScale(type, 0, k) + r] = rows[r].scale;
  if (type != WeightType::kQ4M) return;
  for (size_t r = 0; r < kPanelRows; ++r) halves[TileIndexMinimum(0, k) + r] = rows[r].minimum;
}

}  // namespace

void PackBlocks(WeightType type, size_t rows, size_t cols,
                const std::function<QuantizedBlock(size_t r, size_t b)>& block, std::byte* out) {
  const QuantizedBlock padding = QuantizeBlock(type, nullptr, 0);
  QuantizedBlock column[kPanelRows];
  std::fill(std::begin(column), std::end(column), padding);
  for (size_t b = 0; b < PaddedCols(type, cols) / kQuantBlock; ++b) {
    const bool beyond = b * kQuantBlock >= cols;
    for (size_t r = 0; r < std::min(rows, kPanelRows); ++r)
      column[r] = beyond ? padding : block(r, b);
    StoreBlocks(type, column, b, out);
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
