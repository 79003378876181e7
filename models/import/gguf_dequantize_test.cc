#include "models/import/gguf_dequantize.h"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/float16.h"
#include "core/kernel.h"
#include "core/tile.h"
#include "core/tile_weight.h"
#include "gtest/gtest.h"
#include "models/checksum.h"
#include "models/import/gguf_type.h"
#include "models/quantize.h"
#include "models/quantize_k.h"
#include "models/tile_packer.h"
#include "tests/support/random.h"

namespace tvl {
namespace {

struct TypeCase {
  GgufTensorType type;
  std::vector<size_t> halves;  // where in a block the f16 numbers are
  uint64_t ggml;
};

// XXH3 of what ggml's own `to_float` makes of RandomBlocks: that of the llama.cpp which npm's
// node-llama-cpp 3 brings, compiled for plain x86-64.
const TypeCase kCases[] = {
    {GgufTensorType::kF32, {2}, 0x25209db10a339910},
    {GgufTensorType::kF16, {0}, 0x38338e605bfa91fd},
    {GgufTensorType::kBF16, {0}, 0x5f56f9ab30aa0b52},
    {GgufTensorType::kQ40, {0}, 0x3e967f2fd74527df},
    {GgufTensorType::kQ41, {0, 2}, 0x69c228151bdaa41a},
    {GgufTensorType::kQ50, {0}, 0xa1fa991512dead31},
    {GgufTensorType::kQ51, {0, 2}, 0x8a97269bf9331eb4},
    {GgufTensorType::kQ80, {0}, 0xf31d0205cc06daa9},
    {GgufTensorType::kQ2K, {80, 82}, 0x669ac03e6ee8019e},
    {GgufTensorType::kQ3K, {108}, 0xebca382381bdb3d8},
    {GgufTensorType::kQ4K, {0, 2}, 0x61af3d5f93a5f87f},
    {GgufTensorType::kQ5K, {0, 2}, 0xb8f20a8e0767dde1},
    {GgufTensorType::kQ6K, {208}, 0x09d8474f41b6fed4},
    {GgufTensorType::kIQ4NL, {0}, 0x606b542d7e2eba84},
    {GgufTensorType::kIQ4XS, {0}, 0x80a8165ac6096b68},
};

const GgufTypeInfo& InfoOf(GgufTensorType type) {
  return *FindGgufType(static_cast<uint32_t>(type));
}

// Blocks of any bytes but for their f16 numbers (of F32 and BF16: the upper half), which are
// finite.
std::vector<std::byte> RandomBlocks(const TypeCase& test, size_t* weights) {
  const GgufTypeInfo& info = InfoOf(test.type);
  const size_t blocks = info.block_weights == 1 ? 4096 : 64;
  *weights = blocks * info.block_weights;
  testing::Random random;
  std::vector<std::byte> data(blocks * info.block_bytes);
  for (std::byte& b : data) b = static_cast<std::byte>(random.Bits());
  for (size_t i = 0; i < blocks; ++i) {
    for (const size_t half : test.halves) data[i * info.block_bytes + half + 1] &= std::byte{0xbf};
  }
  return data;
}

TEST(GgufDequantizeTest, EqualsGgmlBitByBit) {
  for (const TypeCase& test : kCases) {
    size_t count;
    const std::vector<std::byte> data = RandomBlocks(test, &count);
    std::vector<float> weights(count);
    DequantizeGgufRow(test.type, data.data(), count, weights.data());
    EXPECT_EQ(Xxh3(std::as_bytes(std::span(weights))), test.ggml) << InfoOf(test.type).name;
    for (const float weight : weights) ASSERT_TRUE(std::isfinite(weight)) << InfoOf(test.type).name;
  }
}

TEST(GgufDequantizeTest, EveryTypeIsTested) {
  size_t known = 0;
  for (uint32_t type = 0; type < 1000; ++type) known += FindGgufType(type) != nullptr;
  EXPECT_EQ(known, std::size(kCases));
}

// Rows that begin anywhere, and only as many weights as are asked for.
TEST(GgufDequantizeTest, NeitherAlignmentNorLengthMatter) {
  for (const TypeCase& test : kCases) {
    const GgufTypeInfo& info = InfoOf(test.type);
    size_t count;
    std::vector<std::byte> data = RandomBlocks(test, &count);
    std::vector<float> all(count), some(info.block_weights + 1, 7.0f);
    DequantizeGgufRow(test.type, data.data(), count, all.data());
    data.insert(data.begin(), std::byte{0});
    DequantizeGgufRow(test.type, data.data() + 1, info.block_weights, some.data());
    for (size_t i = 0; i < info.block_weights; ++i) EXPECT_EQ(some[i], all[i]) << info.name;
    EXPECT_EQ(some.back(), 7.0f);
    DequantizeGgufRow(test.type, data.data() + 1, 0, some.data());
  }
}

// The value of a block's weight i (models/TVL_FORMAT.md, "Tiles").
float WeightOf(WeightType type, const QuantizedBlock& block, size_t i) {
  const float scale = F16ToF32(block.scale), quant = block.quants[i];
  if (type == WeightType::kQ8) return scale * quant;
  if (type == WeightType::kQ4) return scale * (quant - 8);
  return std::fma(quant, scale, F16ToF32(block.minimum));
}

// As 16 rows of a matrix, all the data of each, packed and read from the panel again. The first
// superblock of row r is the source's block r, so that rows differ.
void ExpectSameInPanels(const TypeCase& test, const std::vector<std::byte>& data,
                        const std::vector<float>& weights) {
  const GgufTypeInfo& info = InfoOf(test.type);
  const size_t superblocks = weights.size() / kKSuperblock;
  AlignedBuffer<std::byte> panel(PanelBytes(info.kept_as, weights.size()));
  const auto source = [&](size_t r, size_t s) { return (r + s) % superblocks; };
  PackSuperblocks(
      info.kept_as, kPanelRows, weights.size(),
      [&](size_t r, size_t s, QuantizedSuperblock* out) {
        TakeGgufSuperblock(info, data.data(), source(r, s), out);
      },
      panel.data());
  WithWeightType(info.kept_as, [&]<WeightType W>() {
    for (size_t r = 0; r < kPanelRows; ++r) {
      for (size_t k = 0; k < weights.size(); ++k) {
        const float expected =
            weights[source(r, k / kKSuperblock) * kKSuperblock + k % kKSuperblock];
        const float found = PanelWeight<W>(panel.data(), r, k);
        // By bits: a zero keeps its sign, too.
        ASSERT_EQ(std::bit_cast<uint32_t>(found), std::bit_cast<uint32_t>(expected))
            << info.name << " row " << r << " column " << k;
      }
    }
  });
}

TEST(GgufDequantizeTest, ExactBlocksAreTheSameNumbers) {
  size_t types = 0;
  for (const TypeCase& test : kCases) {
    const GgufTypeInfo& info = InfoOf(test.type);
    if (info.keeping != GgufKeeping::kExact || !IsQuantized(info.kept_as)) continue;
    ++types;
    size_t count;
    const std::vector<std::byte> data = RandomBlocks(test, &count);
    std::vector<float> weights(count);
    DequantizeGgufRow(test.type, data.data(), count, weights.data());
    if (IsKQuant(info.kept_as)) {
      ExpectSameInPanels(test, data, weights);
      continue;
    }
    for (size_t i = 0; i < count; ++i) {
      const QuantizedBlock block = TakeGgufBlock(InfoOf(test.type), data.data(), i / kQuantBlock);
      EXPECT_EQ(WeightOf(info.kept_as, block, i % kQuantBlock), weights[i]) << info.name << i;
    }
  }
  EXPECT_EQ(types, 7u);
}

TEST(GgufTypeTest, Text) {
  EXPECT_EQ(GgufTypeText(12), "Q4_K");
  EXPECT_EQ(GgufTypeText(16), "IQ2_XXS (16)");
  EXPECT_EQ(GgufTypeText(39), "MXFP4 (39)");
  EXPECT_EQ(GgufTypeText(999), "999");
}

}  // namespace
}  // namespace tvl
