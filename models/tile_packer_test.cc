// A panel reads back, by core/tile_weight.h, as the rows that were packed.
#include "models/tile_packer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/float16.h"
#include "core/kernel.h"
#include "core/tile.h"
#include "core/tile_weight.h"
#include "gtest/gtest.h"
#include "models/quantize.h"
#include "models/quantize_k.h"
#include "tests/support/random.h"

namespace tvl {
namespace {

constexpr size_t kCols[] = {1, 3, 4, 31, 32, 33, 63, 64, 65, 96, 97, 172, 256, 1056};

// `rows` rows of `cols` numbers, packed into memory that was poisoned.
struct Packed {
  Packed(WeightType type, size_t rows, size_t cols) : Packed(type, rows, Normal(rows, cols)) {}
  Packed(WeightType type, size_t rows, const std::vector<float>& numbers)
      : x(numbers), lines(PanelLines(type, numbers.size() / rows)) {
    const size_t cols = x.size() / rows;
    const float* pointers[kPanelRows] = {};
    for (size_t r = 0; r < rows; ++r) pointers[r] = &x[r * cols];
    std::fill(lines.begin(), lines.end(), Line{});
    PackPanel(type, pointers, cols, panel());
  }
  static std::vector<float> Normal(size_t rows, size_t cols) {
    std::vector<float> numbers(rows * cols);
    testing::Random random(cols);
    testing::FillWith(testing::Fill::kNormal, random, numbers);
    return numbers;
  }
  struct alignas(kLineBytes) Line {
    Line() { std::fill(std::begin(bytes), std::end(bytes), std::byte{0xee}); }
    std::byte bytes[kLineBytes];
  };
  std::byte* panel() { return lines[0].bytes; }

  std::vector<float> x;
  std::vector<Line> lines;
};

template <WeightType W>
void ExpectRow(Packed& packed, size_t r, size_t cols) {
  [[maybe_unused]] QuantizedSuperblock stored = {};  // of K-quants, which take long to search for
  for (size_t k = 0; k < PaddedCols(W, cols); ++k) {
    const float weight = PanelWeight<W>(packed.panel(), r, k);
    if (r * cols + k >= packed.x.size() || k >= cols) {
      // A partial block may have a minimum.
      if (HasMinima(W) && k / kQuantBlock * kQuantBlock < cols && r * cols < packed.x.size())
        continue;
      EXPECT_EQ(weight, 0) << r << ' ' << k;
      continue;
    }
    const float x = packed.x[r * cols + k];
    if constexpr (IsKQuant(W)) {
      const size_t begin = k / kKSuperblock * kKSuperblock, block = (k - begin) / ScaleBlock(W);
      if (k == begin) {
        stored = QuantizeSuperblock(W, &packed.x[r * cols + begin],
                                    std::min(kKSuperblock, cols - begin));
      }
      EXPECT_EQ(PanelQuant<W>(packed.panel(), r, k),
                stored.quants[k - begin] - (W == WeightType::kQ6K ? 32 : 0));
      const int scale = W == WeightType::kQ6K ? static_cast<int8_t>(stored.scales[block])
                                              : static_cast<int>(stored.scales[block]);
      EXPECT_EQ(PanelScale<W>(packed.panel(), r, k),
                F16ToF32(stored.scale) * static_cast<float>(scale));
      if constexpr (HasMinima(W)) {
        EXPECT_EQ(PanelMinimum<W>(packed.panel(), r, k),
                  -F16ToF32(stored.minimum) * static_cast<float>(stored.minima[block]));
      }
      EXPECT_NEAR(weight, x, W == WeightType::kQ4K ? 0.6f : 0.4f);
    } else if constexpr (IsQuantized(W)) {
      const size_t begin = k / kQuantBlock * kQuantBlock;
      const QuantizedBlock block =
          QuantizeBlock(W, &packed.x[r * cols + begin], std::min(kQuantBlock, cols - begin));
      EXPECT_EQ(PanelQuant<W>(packed.panel(), r, k),
                block.quants[k - begin] - (W == WeightType::kQ4 ? 8 : 0));
      EXPECT_EQ(PanelScale<W>(packed.panel(), r, k), F16ToF32(block.scale));
      if constexpr (W == WeightType::kQ4M) {
        EXPECT_EQ(PanelMinimum<W>(packed.panel(), r, k), F16ToF32(block.minimum));
      }
      EXPECT_NEAR(weight, x, W == WeightType::kQ8 ? 0.03f : 0.6f);
    } else {
      EXPECT_NEAR(weight, x, W == WeightType::kF32 ? 0 : std::fabs(x) * 0x1p-8f);
    }
  }
}

TEST(TilePackerTest, ReadsBack) {
  for (const WeightType type : kWeightTypes) {
    for (const size_t cols : kCols) {
      for (const size_t rows : {1, 15, 16}) {
        SCOPED_TRACE(std::string(WeightTypeName(type)) + " " + std::to_string(rows) + " by " +
                     std::to_string(cols));
        Packed packed(type, rows, cols);
        WithWeightType(type, [&]<WeightType W>() {
          for (size_t r = 0; r < kPanelRows; ++r) ExpectRow<W>(packed, r, cols);
        });
      }
    }
  }
}

// Byte by byte, what TVL_FORMAT.md says of padding.
TEST(TilePackerTest, KQuantPadding) {
  for (const WeightType type : {WeightType::kQ4K, WeightType::kQ5K, WeightType::kQ6K}) {
    const int zero = type == WeightType::kQ6K ? 32 : 0;
    for (const size_t cols : kCols) {
      Packed packed(type, 3, cols);
      const std::byte* panel = packed.panel();
      const uint16_t* halves = reinterpret_cast<const uint16_t*>(panel);
      for (size_t r = 0; r < kPanelRows; ++r) {
        for (size_t k = 0; k < PaddedCols(type, cols); ++k) {
          if (r >= 3) {
            EXPECT_EQ(halves[TileIndexKScale(type, r, k)], 0);
            EXPECT_EQ(halves[TileIndexKMinimum(type, r, k)], 0);
          }
          if (r >= 3 || k / ScaleBlock(type) * ScaleBlock(type) >= cols) {
            EXPECT_EQ(panel[TileByteKScale(type, r, k)], std::byte{0});
            if (HasMinima(type)) {
              EXPECT_EQ(panel[TileByteKMinimum(type, r, k)], std::byte{0});
            }
          }
          if (r < 3 && k < cols) continue;
          const std::byte both = panel[TileByteKLow(type, r, k)];
          EXPECT_EQ(IsHighNibble(k) ? both >> 4 : both & std::byte{15}, std::byte{0});
          if (type == WeightType::kQ4K) continue;
          const std::byte high = panel[TileByteKHigh(type, r, k)] >> KHighShift(type, k);
          EXPECT_EQ(std::to_integer<int>(high) & (type == WeightType::kQ6K ? 3 : 1), zero >> 4);
        }
      }
    }
  }
}

TEST(TilePackerTest, QuantizedPadding) {
  for (const WeightType type : {WeightType::kQ8, WeightType::kQ4, WeightType::kQ4M}) {
    for (const size_t cols : kCols) {
      Packed packed(type, 3, cols);
      const uint16_t* halves = reinterpret_cast<const uint16_t*>(packed.panel());
      for (size_t r = 0; r < kPanelRows; ++r) {
        for (size_t k = 0; k < PaddedCols(type, cols); ++k) {
          if (r >= 3 || k / kQuantBlock * kQuantBlock >= cols) {
            EXPECT_EQ(halves[TileIndexScale(type, r, k)], 0);
            if (type == WeightType::kQ4M) {
              EXPECT_EQ(halves[TileIndexMinimum(r, k)], 0);
            }
          }
          if (r < 3 && k < cols) continue;
          if (type == WeightType::kQ8) {
            EXPECT_EQ(packed.panel()[TileByteQ8(r, k)], std::byte{0});
            continue;
          }
          const std::byte both = packed.panel()[TileByteQ4(type, r, k)];
          EXPECT_EQ(IsHighNibble(k) ? both >> 4 : both & std::byte{15},
                    type == WeightType::kQ4 ? std::byte{8} : std::byte{0});
        }
      }
    }
  }
}

// Every f16 number, the middles between two, and what lies beside either, of both signs.
TEST(TilePackerTest, RoundsToF16AsF32ToF16Does) {
  std::vector<float> x;
  for (uint32_t half = 0; half <= 0x7fff; ++half) {
    const float at = F16ToF32(static_cast<uint16_t>(half));
    const float next = half + 1 == 0x7c00 ? 65536.0f : F16ToF32(static_cast<uint16_t>(half + 1));
    for (const float number : {at, at + (next - at) / 2}) {
      const uint32_t bits = std::bit_cast<uint32_t>(number);
      for (const uint32_t near : {bits - 1, bits, bits + 1}) {
        x.push_back(std::bit_cast<float>(near));
        x.push_back(std::bit_cast<float>(near ^ 0x80000000u));
      }
    }
  }
  Packed packed(WeightType::kF16, 1, x);
  const uint16_t* halves = reinterpret_cast<const uint16_t*>(packed.panel());
  size_t k = 0;
  while (k < x.size() && halves[TileIndexF16(0, k)] == F32ToF16(x[k])) ++k;
  EXPECT_EQ(k, x.size()) << x[std::min(k, x.size() - 1)];
}

}  // namespace
}  // namespace tvl
