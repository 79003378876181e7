// Sizes and indices against the formulas of models/TVL_FORMAT.md, section "Tiles", written out
// again here.
#include "core/tile.h"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/tensor_view.h"
#include "gtest/gtest.h"

namespace tvl {
namespace {

constexpr WeightType kTypes[] = {WeightType::kF32, WeightType::kF16, WeightType::kBF16,
                                 WeightType::kQ8,  WeightType::kQ4,  WeightType::kQ4M,
                                 WeightType::kQ4K, WeightType::kQ5K, WeightType::kQ6K};

size_t Ceil(size_t a, size_t b) {
  while (a % b != 0) ++a;
  return a;
}

size_t LinesByTheFormat(WeightType type, size_t cols) {
  switch (type) {
    case WeightType::kF32:
      return Ceil(cols, 4);
    case WeightType::kF16:
    case WeightType::kBF16:
      return Ceil(cols, 4) / 2;
    case WeightType::kI8:
      return Ceil(cols, 4) / 4;
    case WeightType::kQ8:
      return Ceil(cols, 64) / 64 * 17;
    case WeightType::kQ4:
      return Ceil(cols, 64) / 64 * 9;
    case WeightType::kQ4M:
      return Ceil(cols, 64) / 64 * 10;
    case WeightType::kQ4K:
      return Ceil(cols, 256) / 256 * 37;
    case WeightType::kQ5K:
      return Ceil(cols, 256) / 256 * 45;
    case WeightType::kQ6K:
      return Ceil(cols, 256) / 256 * 53;
  }
  return 0;
}

TEST(TileTest, TypeNumbersAreThoseOfTheFormat) {
  uint32_t number = 0;
  for (const WeightType type : kTypes) EXPECT_EQ(static_cast<uint32_t>(type), ++number);
  const char* const names[] = {"f32", "f16", "bf16", "q8", "q4", "q4m", "q4k", "q5k", "q6k"};
  ASSERT_EQ(std::size(kTypes), std::size(names));
  for (size_t i = 0; i < std::size(names); ++i)
    EXPECT_EQ(std::string(WeightTypeName(kTypes[i])), names[i]);
}

TEST(TileTest, PanelSizes) {
  for (const WeightType type : kTypes) {
    for (const size_t cols :
         {1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 128, 172, 255, 256, 257, 4096}) {
      EXPECT_EQ(PanelLines(type, cols), LinesByTheFormat(type, cols))
          << WeightTypeName(type) << ' ' << cols;
      EXPECT_EQ(PanelBytes(type, cols), 64 * LinesByTheFormat(type, cols));
    }
  }
}

// Of the KV cache only: no file has it.
TEST(TileTest, I8) {
  for (const size_t cols : {1, 4, 5, 64, 172})
    EXPECT_EQ(PanelLines(WeightType::kI8, cols), LinesByTheFormat(WeightType::kI8, cols));
  EXPECT_EQ(TileIndexI8(5, 3), 53u);
  for (const WeightType type : kWeightTypes) EXPECT_NE(type, WeightType::kI8);
}

TEST(TileTest, PanelCounts) {
  EXPECT_EQ(PanelCount(0), 0u);
  EXPECT_EQ(PanelCount(1), 1u);
  EXPECT_EQ(PanelCount(16), 1u);
  EXPECT_EQ(PanelCount(17), 2u);
  EXPECT_EQ(PanelCount(32), 2u);
}

TEST(TileTest, LineKOfF32HoldsSixteenRows) {
  EXPECT_EQ(TileIndexF32(0, 0), 0u);
  EXPECT_EQ(TileIndexF32(15, 0), 15u);
  EXPECT_EQ(TileIndexF32(3, 7), 16u * 7 + 3);
  // Every element of a panel has a place of its own, and together they fill it.
  std::set<size_t> places;
  for (size_t k = 0; k < 12; ++k) {
    for (size_t r = 0; r < kPanelRows; ++r) places.insert(TileIndexF32(r, k));
  }
  EXPECT_EQ(places.size(), 12u * 16);
  EXPECT_EQ((*places.rbegin() + 1) * sizeof(float), PanelBytes(WeightType::kF32, 12));
}

TEST(TileTest, LineOfF16HoldsAnEvenKAndTheNext) {
  EXPECT_EQ(TileIndexF16(5, 0), 5u);
  EXPECT_EQ(TileIndexF16(5, 1), 16u + 5);
  EXPECT_EQ(TileIndexF16(5, 2) * 2, 64u + 2 * 5);  // in bytes: the second line
  EXPECT_EQ((TileIndexF16(15, 11) + 1) * 2, PanelBytes(WeightType::kF16, 12));
}

TEST(TileTest, LineOfBF16HoldsPairsOfK) {
  EXPECT_EQ(TileIndexBF16(5, 0), 10u);
  EXPECT_EQ(TileIndexBF16(5, 1), 11u);
  EXPECT_EQ(TileIndexBF16(5, 2) * 2, 64u + 4 * 5);  // in bytes: the second line
  EXPECT_EQ((TileIndexBF16(15, 11) + 1) * 2, PanelBytes(WeightType::kBF16, 12));
}

// A block of each type, by the formulas of models/TVL_FORMAT.md.
TEST(TileTest, KQuants) {
  EXPECT_EQ(TileIndexKScale(WeightType::kQ4K, 3, 300), 37u * 32 + 3);
  EXPECT_EQ(TileIndexKMinimum(WeightType::kQ5K, 3, 300), 45u * 32 + 19);
  EXPECT_EQ(TileByteKScale(WeightType::kQ4K, 5, 70), 64u + 2 * 32 + 5);
  EXPECT_EQ(TileByteKMinimum(WeightType::kQ4K, 5, 70), 64u + 2 * 32 + 16 + 5);
  EXPECT_EQ(TileByteKScale(WeightType::kQ6K, 5, 70), 64u + 4 * 16 + 5);
  EXPECT_EQ(TileByteKLow(WeightType::kQ4K, 2, 77), (5 + 2 * 4 + 1) * 64u + 4 * 2 + 1);
  EXPECT_EQ(TileByteKLow(WeightType::kQ5K, 2, 77), (5 + 2 * 5 + 1 + 1) * 64u + 4 * 2 + 1);
  EXPECT_EQ(TileByteKHigh(WeightType::kQ5K, 2, 77), (5 + 2 * 5) * 64u + 4 * 2 + 1);
  EXPECT_EQ(KHighShift(WeightType::kQ5K, 77), 3u);
  EXPECT_EQ(TileByteKLow(WeightType::kQ6K, 2, 77), (5 + 4 * 3 + 1 + 1) * 64u + 4 * 2 + 1);
  EXPECT_EQ(KHighShift(WeightType::kQ6K, 77), 6u);
  for (const WeightType type : {WeightType::kQ4K, WeightType::kQ5K, WeightType::kQ6K}) {
    EXPECT_TRUE(IsKQuant(type));
    EXPECT_EQ(TileByteKLow(type, 15, 511), PanelBytes(type, 512) - 1);
    // No two of a superblock's numbers share a bit of a byte.
    std::map<size_t, int> bits;
    for (size_t k = 0; k < kKSuperblock; ++k) {
      for (size_t r = 0; r < kPanelRows; ++r) {
        const auto take = [&](size_t byte, int mask) {
          EXPECT_EQ(bits[byte] & mask, 0) << WeightTypeName(type) << ' ' << k << ' ' << r;
          bits[byte] |= mask;
        };
        take(TileByteKLow(type, r, k), IsHighNibble(k) ? 0xf0 : 0x0f);
        if (type == WeightType::kQ5K) take(TileByteKHigh(type, r, k), 1 << KHighShift(type, k));
        if (type == WeightType::kQ6K) take(TileByteKHigh(type, r, k), 3 << KHighShift(type, k));
        if (k % ScaleBlock(type) != 0) continue;
        take(TileByteKScale(type, r, k), 0xff);
        if (HasMinima(type)) take(TileByteKMinimum(type, r, k), 0xff);
        if (k != 0) continue;
        for (const size_t half : {TileIndexKScale(type, r, k), TileIndexKMinimum(type, r, k)}) {
          take(2 * half, 0xff);
          take(2 * half + 1, 0xff);
        }
      }
    }
    // So they fill it.
    EXPECT_EQ(bits.size(), PanelBytes(type, kKSuperblock));
    for (const auto& [byte, taken] : bits) EXPECT_EQ(taken, 0xff) << byte;
  }
}

TEST(TensorViewTest, DensePanelsFollowEachOther) {
  std::vector<std::byte> memory(1);
  for (const WeightType type : kTypes) {
    const TileMatrix m = DenseTileMatrix(memory.data(), type, 77, 70);
    ASSERT_EQ(m.panels(), 5u);
    for (size_t p = 0; p < m.panels(); ++p) {
      EXPECT_EQ(m.Panel(p) - m.data, static_cast<ptrdiff_t>(p * 64 * LinesByTheFormat(type, 70)));
      EXPECT_EQ(m.RowsOfPanel(p), p == 4 ? 13u : 16u);
    }
  }
}

TEST(TensorViewTest, InterleavedPairsAlternateByUnits) {
  std::vector<std::byte> memory(1);
  for (const size_t rows : {1, 16, 17, 32, 33, 172}) {
    const size_t panel = 64 * LinesByTheFormat(WeightType::kF16, 10);
    const TilePair pair = InterleavedTilePair(memory.data(), WeightType::kF16, rows, 10);
    for (size_t p = 0; p < PanelCount(rows); ++p) {
      // Unit u of the first matrix is the file's unit 2u, that of the second the unit after it.
      const size_t unit = p / 2;
      EXPECT_EQ(pair.first.Panel(p) - memory.data(),
                static_cast<ptrdiff_t>((2 * unit * 2 + p % 2) * panel));
      EXPECT_EQ(pair.second.Panel(p) - memory.data(),
                static_cast<ptrdiff_t>(((2 * unit + 1) * 2 + p % 2) * panel));
      EXPECT_EQ(pair.first.RowsOfPanel(p), pair.second.RowsOfPanel(p));
    }
    EXPECT_EQ(pair.first.rows, rows);
    EXPECT_EQ(pair.second.cols, 10u);
  }
}

}  // namespace
}  // namespace tvl
