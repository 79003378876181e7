// The tile: the unit in which weights are stored, mapped and multiplied.
//
// One 64-byte cache line holds 16 output rows by a few k, so a lane of a vector register is an
// output row, the input is broadcast, and the hot loops need no horizontal sum. A *panel* is 16
// rows by all of K, lines in increasing k. Two panels make a *unit* of 32 rows, the grain at which
// work is shared between threads. The byte-exact layout of every type is specified in
// models/TVL_FORMAT.md, section "Tiles"; this header is its only definition in code.
#ifndef TVL_CORE_TILE_H_
#define TVL_CORE_TILE_H_

#include <cstddef>
#include <cstdint>

namespace tvl {

inline constexpr size_t kLineBytes = 64;     // one cache line, one tile
inline constexpr size_t kPanelRows = 16;     // rows of a tile
inline constexpr size_t kPanelsPerUnit = 2;  // the grain of threading: 32 rows
inline constexpr size_t kUnitRows = kPanelRows * kPanelsPerUnit;

// Multiple to which K is padded, with +0, for f32, f16, bf16 and i8: the four partial sums of the
// canonical dot.
inline constexpr size_t kDotChains = 4;

// Multiple to which K is padded for q8, q4 and q4m: one superblock, of two blocks.
inline constexpr size_t kSuperblock = 64;

// The same for q4k, q5k and q6k, GGUF's K-quants: a superblock of theirs is ggml's, whose blocks
// have integer scales that share one number.
inline constexpr size_t kKSuperblock = 256;

// Inputs that share a scale, in weights and in quantised activations: as many as a unit has rows,
// so that the threads that compute a vector can also quantise it, each what it wrote.
inline constexpr size_t kQuantBlock = 32;

// The values are those of the `type` field of a TVL directory entry, where there is no kI8. Never
// renumber.
enum class WeightType : uint32_t {
  kF32 = 1,
  kF16 = 2,
  kBF16 = 3,
  kQ8 = 4,
  kQ4 = 5,
  kQ4M = 6,
  kQ4K = 7,
  kQ5K = 8,
  kQ6K = 9,
  // 8-bit integers that stand for themselves: the values of a KV cache in q8 (core/kv_slot.h).
  kI8 = 100,
};

inline constexpr WeightType kFloatTypes[] = {WeightType::kF32, WeightType::kF16, WeightType::kBF16};
// Integers with a scale per block, multiplied with quantised activations.
inline constexpr WeightType kQuantizedTypes[] = {WeightType::kQ8,  WeightType::kQ4,
                                                 WeightType::kQ4M, WeightType::kQ4K,
                                                 WeightType::kQ5K, WeightType::kQ6K};
inline constexpr WeightType kWeightTypes[] = {WeightType::kF32, WeightType::kF16, WeightType::kBF16,
                                              WeightType::kQ8,  WeightType::kQ4,  WeightType::kQ4M,
                                              WeightType::kQ4K, WeightType::kQ5K, WeightType::kQ6K};

constexpr bool IsQuantized(WeightType type) {
  for (const WeightType quantized : kQuantizedTypes) {
    if (type == quantized) return true;
  }
  return false;
}

// q4k, q5k or q6k.
constexpr bool IsKQuant(WeightType type) {
  return type == WeightType::kQ4K || type == WeightType::kQ5K || type == WeightType::kQ6K;
}

// Whether a block has a minimum beside its scale.
constexpr bool HasMinima(WeightType type) {
  return type == WeightType::kQ4M || type == WeightType::kQ4K || type == WeightType::kQ5K;
}

// Inputs of a row that share a scale: kQuantBlock, but of q6k half of that.
constexpr size_t ScaleBlock(WeightType type) {
  return type == WeightType::kQ6K ? kQuantBlock / 2 : kQuantBlock;
}

// Inputs of a superblock of a quantised type.
constexpr size_t SuperblockCols(WeightType type) {
  return IsKQuant(type) ? kKSuperblock : kSuperblock;
}

constexpr size_t RoundUp(size_t n, size_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}

constexpr size_t PanelCount(size_t rows) { return (rows + kPanelRows - 1) / kPanelRows; }

// K as stored: `cols` and the padding.
constexpr size_t PaddedCols(WeightType type, size_t cols) {
  return RoundUp(cols, IsQuantized(type) ? SuperblockCols(type) : kDotChains);
}

// Lines of a superblock of q8, q4 and q4m that hold quants; a line of scales follows, and for q4m
// one of minima.
constexpr size_t SuperblockQuantLines(WeightType type) { return type == WeightType::kQ8 ? 16 : 8; }

// A superblock of q4k, q5k or q6k begins with a line of the numbers that its scales (and minima)
// share and four lines of scales and minima. Then come its blocks of ScaleBlock inputs: of q5k and
// q6k a line of the quants' high bits, and of all types lines of their low four bits, as q4's.
// Everything is read once, in the order in which it lies.
inline constexpr size_t kKHeadLines = 5;
constexpr size_t KBlockLines(WeightType type) {
  return (type == WeightType::kQ4K ? 0 : 1) + ScaleBlock(type) / 8;
}

constexpr size_t SuperblockLines(WeightType type) {
  if (IsKQuant(type)) return kKHeadLines + kKSuperblock / ScaleBlock(type) * KBlockLines(type);
  return SuperblockQuantLines(type) + (type == WeightType::kQ4M ? 2 : 1);
}

// Cache lines of one panel of `cols` inputs.
constexpr size_t PanelLines(WeightType type, size_t cols) {
  const size_t padded = PaddedCols(type, cols);
  switch (type) {
    case WeightType::kF32:
      return padded;
    case WeightType::kF16:
    case WeightType::kBF16:
      return padded / 2;
    case WeightType::kI8:
      return padded / 4;
    case WeightType::kQ8:
    case WeightType::kQ4:
    case WeightType::kQ4M:
    case WeightType::kQ4K:
    case WeightType::kQ5K:
    case WeightType::kQ6K:
      return padded / SuperblockCols(type) * SuperblockLines(type);
  }
  return 0;
}

constexpr size_t PanelBytes(WeightType type, size_t cols) {
  return PanelLines(type, cols) * kLineBytes;
}

// Index, in elements of the type, of row `row` (0..15) and input `k` within a panel.
constexpr size_t TileIndexF32(size_t row, size_t k) { return k * kPanelRows + row; }
constexpr size_t TileIndexF16(size_t row, size_t k) { return k * kPanelRows + row; }
constexpr size_t TileIndexBF16(size_t row, size_t k) {
  return k / 2 * (2 * kPanelRows) + 2 * row + k % 2;
}

constexpr size_t TileIndexI8(size_t row, size_t k) { return k * kPanelRows + row; }

// Byte, within a panel, of the quant of row `row` and input `k`. A line of q8 is 16 rows by a quad
// of k; a line of q4 is 16 rows by two quads, the first in the low nibbles (IsHighNibble false).
constexpr size_t TileByteQ8(size_t row, size_t k) {
  return k / kSuperblock * SuperblockLines(WeightType::kQ8) * kLineBytes +
         k % kSuperblock / 4 * kLineBytes + 4 * row + k % 4;
}
constexpr size_t TileByteQ4(WeightType type, size_t row, size_t k) {
  return k / kSuperblock * SuperblockLines(type) * kLineBytes + k % kSuperblock / 8 * kLineBytes +
         4 * row + k % 4;
}
constexpr bool IsHighNibble(size_t k) { return k % 8 >= 4; }

// Index, in f16 numbers within a panel, of the scale of row `row` and of the block that input `k`
// is in; and of the minimum of q4m.
constexpr size_t TileIndexScale(WeightType type, size_t row, size_t k) {
  return (k / kSuperblock * SuperblockLines(type) + SuperblockQuantLines(type)) * (kLineBytes / 2) +
         k % kSuperblock / kQuantBlock * kPanelRows + row;
}
constexpr size_t TileIndexMinimum(size_t row, size_t k) {
  return TileIndexScale(WeightType::kQ4M, row, k) + kLineBytes / 2;
}

// Of q4k, q5k and q6k. The first byte of the block that input k is in.
constexpr size_t TileByteKBlock(WeightType type, size_t k) {
  return (k / kKSuperblock * SuperblockLines(type) + kKHeadLines +
          k % kKSuperblock / ScaleBlock(type) * KBlockLines(type)) *
         kLineBytes;
}
// The byte of the quant's low four bits, in its low or high nibble (IsHighNibble).
constexpr size_t TileByteKLow(WeightType type, size_t row, size_t k) {
  return TileByteKBlock(type, k) + (type == WeightType::kQ4K ? 0 : kLineBytes) +
         k % ScaleBlock(type) / 8 * kLineBytes + 4 * row + k % 4;
}
// The byte that has the quant's high bits, of q5k one and of q6k two, from bit KHighShift on.
constexpr size_t TileByteKHigh(WeightType type, size_t row, size_t k) {
  return TileByteKBlock(type, k) + 4 * row + k % 4;
}
constexpr size_t KHighShift(WeightType type, size_t k) {
  return k % ScaleBlock(type) / 4 * (type == WeightType::kQ6K ? 2 : 1);
}

// The byte of the integer scale of row `row` and of the block that input k is in: u8 of q4k and
// q5k, i8 of q6k. The minimum's, u8, lies 16 bytes on.
constexpr size_t TileByteKScale(WeightType type, size_t row, size_t k) {
  return k / kKSuperblock * SuperblockLines(type) * kLineBytes + kLineBytes +
         k % kKSuperblock / ScaleBlock(type) * (type == WeightType::kQ6K ? 1 : 2) * kPanelRows +
         row;
}
constexpr size_t TileByteKMinimum(WeightType type, size_t row, size_t k) {
  return TileByteKScale(type, row, k) + kPanelRows;
}

// Index, in f16 numbers within a panel, of the number that multiplies the integer scales of row
// `row` in the superblock that input k is in (ggml's d), and of the one of the minima (dmin).
constexpr size_t TileIndexKScale(WeightType type, size_t row, size_t k) {
  return k / kKSuperblock * SuperblockLines(type) * (kLineBytes / 2) + row;
}
constexpr size_t TileIndexKMinimum(WeightType type, size_t row, size_t k) {
  return TileIndexKScale(type, row, k) + kPanelRows;
}

// Name as it is written on the command line and printed.
constexpr const char* WeightTypeName(WeightType type) {
  switch (type) {
    case WeightType::kF32:
      return "f32";
    case WeightType::kF16:
      return "f16";
    case WeightType::kBF16:
      return "bf16";
    case WeightType::kQ8:
      return "q8";
    case WeightType::kQ4:
      return "q4";
    case WeightType::kQ4M:
      return "q4m";
    case WeightType::kQ4K:
      return "q4k";
    case WeightType::kQ5K:
      return "q5k";
    case WeightType::kQ6K:
      return "q6k";
    case WeightType::kI8:
      return "i8";
  }
  return "unknown";
}

}  // namespace tvl

#endif  // TVL_CORE_TILE_H_
