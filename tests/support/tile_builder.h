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

// Writes the integer of row `row` (0..15) and input k of a panel of a quantised type, as it is
// stored: 8 and 32 stand for the 0 of q4 and q6k.
inline void SetPanelQuant(WeightType type, std::byte* panel, size_t row, size_t k, uint8_t quant) {
  if (type == WeightType::kQ8) {
    panel[TileByteQ8(row, k)] = std::byte{quant};
    return;
  }
  std::byte& both = panel[IsKQuant(type) ? TileByteKLow(type, row, k) : TileByteQ4(type, row, k)];
  const std::byte low = std::byte{quant} & std::byte{0x0f};
  both = IsHighNibble(k) ? (both & std::byte{0x0f}) | low << 4 : (both & std::byte{0xf0}) | low;
  if (type != WeightType::kQ5K && type != WeightType::kQ6K) return;
  const std::byte mask{static_cast<unsigned char>(type == WeightType::kQ5K ? 1 : 3)};
  const size_t shift = KHighShift(type, k);
  std::byte& high = panel[TileByteKHigh(type, row, k)];
  high = (high & ~(mask << shift)) | (std::byte{quant} >> 4 & mask) << shift;
}

// What is stored for the quant of a weight of 0, and the largest quant.
constexpr uint8_t ZeroQuant(WeightType type) {
  return type == WeightType::kQ4 ? 8 : type == WeightType::kQ6K ? 32 : 0;
}
constexpr uint8_t LargestQuant(WeightType type) {
  return type == WeightType::kQ8    ? 0x7f
         : type == WeightType::kQ5K ? 31
         : type == WeightType::kQ6K ? 63
                                    : 15;
}

// The scale, and the minimum where there is one, of row `row` (0..15) and of the block that input k
// is in. Of K-quants the superblock's numbers are drawn with its first block's.
inline void FillScales(WeightType type, std::byte* panel, size_t row, size_t k, Fill fill,
                       Random& random) {
  uint16_t* halves = reinterpret_cast<uint16_t*>(panel);
  if (!IsKQuant(type)) {
    halves[TileIndexScale(type, row, k)] = F32ToF16(Draw(fill, random));
    if (HasMinima(type)) halves[TileIndexMinimum(row, k)] = F32ToF16(Draw(fill, random));
    return;
  }
  if (k % kKSuperblock == 0) {
    halves[TileIndexKScale(type, row, k)] = F32ToF16(Draw(fill, random));
    if (HasMinima(type)) halves[TileIndexKMinimum(type, row, k)] = F32ToF16(Draw(fill, random));
  }
  panel[TileByteKScale(type, row, k)] = static_cast<std::byte>(random.Bits());
  if (HasMinima(type))
    panel[TileByteKMinimum(type, row, k)] = static_cast<std::byte>(random.Bits());
}

// Any quants, those at the ends of their range often, and scales and minima drawn by `fill`; in
// padding what models/TVL_FORMAT.md says. REQUIRES: memory that was zeroed.
inline void FillQuantized(const TileMatrix& w, Fill fill, Random& random) {
  const uint8_t zero = ZeroQuant(w.type), largest = LargestQuant(w.type);
  for (size_t row = 0; row < w.rows; ++row) {
    std::byte* panel = const_cast<std::byte*>(w.Panel(row / kPanelRows));
    const size_t r = row % kPanelRows;
    // Rows of one value saturate whatever adds in too few bits.
    const size_t extreme = random.Below(8);
    for (size_t k = 0; k < PaddedCols(w.type, w.cols); ++k) {
      if (k % ScaleBlock(w.type) == 0 && k < w.cols) FillScales(w.type, panel, r, k, fill, random);
      uint8_t quant = static_cast<uint8_t>(random.Bits());
      if (w.type != WeightType::kQ8) quant &= largest;
      if (extreme == 0) quant = w.type == WeightType::kQ8 ? 0x80 : 0;
      if (extreme == 1) quant = largest;
      SetPanelQuant(w.type, panel, r, k, k < w.cols ? quant : zero);
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
