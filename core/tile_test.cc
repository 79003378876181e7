// Sizes and indices against the formulas of models/TVL_FORMAT.md, section "Tiles", written out
// again here.
#include "core/tile.h"

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "core/tensor_view.h"
#include "gtest/gtest.h"

namespace tvl {
namespace {

constexpr WeightType kTypes[] = {WeightType::kF32, WeightType::kF16, WeightType::kBF16,
                                 WeightType::kQ8,  WeightType::kQ4,  WeightType::kQ4M};

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
  }
  return 0;
}

TEST(TileTest, TypeNumbersAreThoseOfTheFormat) {
  uint32_t number = 0;
  for (const WeightType type : kTypes) EXPECT_EQ(static_cast<uint32_t>(type), ++number);
  const char* const names[] = {"f32", "f16", "bf16", "q8", "q4", "q4m"};
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(std::string(WeightTypeName(kTypes[i])), names[i]);
}

TEST(TileTest, PanelSizes) {
  for (const WeightType type : kTypes) {
    for (const size_t cols :
         {1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 128, 172, 4096}) {
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
