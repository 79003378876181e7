#include "models/panel_loss.h"

#include <cstddef>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/tile.h"
#include "gtest/gtest.h"
#include "models/tile_packer.h"

namespace tvl {
namespace {

SquaredLoss LossOf(WeightType type, const std::vector<std::vector<float>>& numbers) {
  const float* rows[kPanelRows] = {};
  for (size_t r = 0; r < numbers.size(); ++r) rows[r] = numbers[r].data();
  const size_t cols = numbers[0].size();
  AlignedBuffer<std::byte> panel(PanelBytes(type, cols));
  PackPanel(type, rows, cols, panel.data());
  return MeasurePanel(type, rows, cols, panel.data());
}

TEST(PanelLossTest, WhatATypeHoldsCostsNothing) {
  const std::vector<std::vector<float>> numbers = {{1, 2, -3}, {0, 0.5f, 7}};
  for (const WeightType type : kFloatTypes) {
    const SquaredLoss loss = LossOf(type, numbers);
    EXPECT_EQ(loss.error, 0);
    EXPECT_EQ(loss.norm, 1 + 4 + 9 + 0.25 + 49);
  }
  // A scale of 1 in each type, and the lowest quant of q4m at 0.
  const std::vector<float> whole = {0, 15, 7, 1};
  EXPECT_EQ(LossOf(WeightType::kQ4M, {whole, whole}).error, 0);
  EXPECT_EQ(LossOf(WeightType::kQ4, {{-8, 7, 3}}).error, 0);
  EXPECT_EQ(LossOf(WeightType::kQ8, {{-127, 99, 3}}).error, 0);
  EXPECT_EQ(LossOf(WeightType::kQ4K, {whole, whole}).error, 0);
  EXPECT_EQ(LossOf(WeightType::kQ5K, {{0, 31, 7, 1}}).error, 0);
  EXPECT_EQ(LossOf(WeightType::kQ6K, {{-32, 31, 7, 1}}).error, 0);
}

TEST(PanelLossTest, RoundingIsCounted) {
  // f16 has steps of 2^-10 from 1 on, bf16 of 2^-7.
  const float x = 1 + 0x1p-12f;
  const SquaredLoss half = LossOf(WeightType::kF16, {{1, x}, {x, 4}});
  EXPECT_EQ(half.error, 2 * 0x1p-24);
  EXPECT_EQ(half.norm, 17 + 2.0 * x * x);
  EXPECT_EQ(LossOf(WeightType::kBF16, {{1 + 0x1p-9f}}).error, 0x1p-18);
  EXPECT_EQ(LossOf(WeightType::kF32, {{x}}).error, 0);
  const SquaredLoss q4 = LossOf(WeightType::kQ4, {{-8, 7, 3.25f}});
  EXPECT_GT(q4.error, 0);
  EXPECT_LE(q4.error, 0.0625) << "a scale of 1 would leave this";
}

TEST(PanelLossTest, Adds) {
  SquaredLoss sum = {1, 2};
  sum += {0.5, 4};
  EXPECT_EQ(sum.error, 1.5);
  EXPECT_EQ(sum.norm, 6);
}

}  // namespace
}  // namespace tvl
