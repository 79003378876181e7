// Tile matrices for tests, built element by element from core/tile.h and not by the writer of the
// product.
#ifndef TVL_TESTS_SUPPORT_TILE_BUILDER_H_
#define TVL_TESTS_SUPPORT_TILE_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/bfloat16.h"
#include "core/float16.h"
#include "core/kernel.h"
#include "core/tensor_view.h"
#include "core/tile.h"
#include "core/tile_weight.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random.h"

namespace tvl::testing {

// Writes one weight of a matrix of f32, f16 or bf16 whose memory the caller owns, rounded. Rows
// and columns of the padding can be written, too.
inline void SetWeight(const TileMatrix& w, size_t row, size_t col, float value) {
  std::byte* panel = const_cast<std::byte*>(w.Panel(row / kPanelRows));
  const size_t r = row % kPanelRows;
  float* singles = reinterpret_cast<float*>(panel);
  uint16_t* halves = reinterpret_cast<uint16_t*>(panel);
  if (w.type == WeightType::kF32) singles[TileIndexF32(r, col)] = value;
  if (w.type == WeightType::kF16) halves[TileIndexF16(r, col)] = F32ToF16(value);
  if (w.type == WeightType::kBF16) halves[TileIndexBF16(r, col)] = F32ToBF16(value);
}

// One f16 or bf16 weight by its bits.
inline void SetWeightBits(const TileMatrix& w, size_t row, size_t col, uint16_t bits) {
  uint16_t* halves = reinterpret_cast<uint16_t*>(const_cast<std::byte*>(w.Panel(row / kPanelRows)));
  const size_t r = row % kPanelRows;
  halves[w.type == WeightType::kF16 ? TileIndexF16(r, col) : TileIndexBF16(r, col)] = bits;
}

inline float WeightAt(const TileMatrix& w, size_t row, size_t col) {
  float weight = 0;
  WithWeightType(w.type, [&]<WeightType W>() {
    weight = PanelWeight<W>(w.Panel(row / kPanelRows), row % kPanelRows, col);
  });
  return weight;
}

// Any quants, those at the ends of their range often, and scales and minima drawn by `fill`; in
// padding what models/TVL_FORMAT.md says. REQUIRES: memory that was zeroed.
inline void FillQuantized(const TileMatrix& w, Fill fill, Random& random) {
  for (size_t row = 0; row < w.rows; ++row) {
    std::byte* panel = const_cast<std::byte*>(w.Panel(row / kPanelRows));
    uint16_t* halves = reinterpret_cast<uint16_t*>(panel);
    const size_t r = row % kPanelRows;
    // Rows of one value saturate whatever adds in too few bits.
    const size_t extreme = random.Below(8);
    for (size_t k = 0; k < PaddedCols(w.type, w.cols); ++k) {
      if (k % kQuantBlock == 0 && k < w.cols) {
        halves[TileIndexScale(w.type, r, k)] = F32ToF16(Draw(fill, random));
        if (w.type == WeightType::kQ4M)
          halves[TileIndexMinimum(r, k)] = F32ToF16(Draw(fill, random));
      }
      uint8_t byte = static_cast<uint8_t>(random.Bits());
      if (extreme < 2) byte = extreme == 0 ? 0x80 : 0x7f;
      if (w.type == WeightType::kQ8) {
        panel[TileByteQ8(r, k)] = static_cast<std::byte>(k < w.cols ? byte : 0);
        continue;
      }
      uint8_t nibble = byte & 0xf;
      if (extreme < 2) nibble = extreme == 0 ? 0 : 15;
      if (k >= w.cols) nibble = w.type == WeightType::kQ4 ? 8 : 0;
      std::byte& both = panel[TileByteQ4(w.type, r, k)];
      both = IsHighNibble(k) ? (both & std::byte{0x0f}) | static_cast<std::byte>(nibble << 4)
                             : (both & std::byte{0xf0}) | static_cast<std::byte>(nibble);
    }
  }
}

inline void FillWeights(const TileMatrix& w, Fill fill, Random& random) {
  if (IsQuantized(w.type)) return FillQuantized(w, fill, random);
  for (size_t row = 0; row < w.rows; ++row) {
    for (size_t col = 0; col < w.cols; ++col) SetWeight(w, row, col, Draw(fill, random));
  }
}

// A matrix and its memory: zeroed, so that the padding is +0, between poisoned guards.
class OwnedTiles {
 public:
  // `gap` poisoned bytes lie between panels, a multiple of 64.
  OwnedTiles(WeightType type, size_t rows, size_t cols, size_t gap = 0)
      : memory_(PanelCount(rows) * (PanelBytes(type, cols) + gap)) {
    const size_t panel = PanelBytes(type, cols);
    view_ = DenseTileMatrix(memory_.data(), type, rows, cols);
    view_.panel_stride = panel + gap;
    view_.unit_stride = (panel + gap) * kPanelsPerUnit;
    for (size_t p = 0; p < view_.panels(); ++p)
      Poison(memory_.data() + p * (panel + gap) + panel, gap);
  }
  OwnedTiles(WeightType type, size_t rows, size_t cols, Fill fill, Random& random)
      : OwnedTiles(type, rows, cols) {
    FillWeights(view_, fill, random);
  }
  // From a row-major matrix.
  OwnedTiles(WeightType type, size_t rows, size_t cols, std::span<const float> row_major)
      : OwnedTiles(type, rows, cols) {
    for (size_t i = 0; i < rows * cols; ++i) SetWeight(view_, i / cols, i % cols, row_major[i]);
  }

  // Valid as long as this lives, wherever it is moved.
  const TileMatrix& view() const { return view_; }

 private:
  GuardedBuffer<std::byte> memory_;
  TileMatrix view_;
};

// Two matrices stored alternately by units, as gate and up are.
class OwnedTilePair {
 public:
  OwnedTilePair(WeightType type, size_t rows, size_t cols)
      : memory_(RoundUp(PanelCount(rows), kPanelsPerUnit) * 2 * PanelBytes(type, cols)),
        view_(InterleavedTilePair(memory_.data(), type, rows, cols)) {}

  const TilePair& view() const { return view_; }

 private:
  GuardedBuffer<std::byte> memory_;
  TilePair view_;
};

}  // namespace tvl::testing

#endif  // TVL_TESTS_SUPPORT_TILE_BUILDER_H_
