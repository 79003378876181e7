#include "core/kv_cache.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/kv_slot.h"
#include "core/model_config.h"
#include "core/tile.h"
#include "gtest/gtest.h"

namespace tvl {
namespace {

ModelConfig Shape(uint32_t layers, uint32_t kv_heads, uint32_t head_dim) {
  ModelConfig c;
  c.n_layers = layers;
  c.n_heads = kv_heads * 2;
  c.n_kv_heads = kv_heads;
  c.head_dim = head_dim;
  return c;
}

KvCache Make(const ModelConfig& config, size_t context, KvType type = KvType::kF16) {
  absl::StatusOr<KvCache> cache = KvCache::Create(config, context, type);
  EXPECT_TRUE(cache.ok()) << cache.status();
  return *std::move(cache);
}

TEST(KvCacheTest, CapacityIsWholePanels) {
  EXPECT_EQ(Make(Shape(1, 1, 8), 1).capacity(), 16u);
  EXPECT_EQ(Make(Shape(1, 1, 8), 16).capacity(), 16u);
  EXPECT_EQ(Make(Shape(1, 1, 8), 17).capacity(), 32u);
}

// Of a position of one head, when neither dimensions nor positions need padding.
TEST(KvCacheTest, BytesOfEachType) {
  const ModelConfig config = Shape(1, 1, 64);
  EXPECT_EQ(KvCache::BytesFor(config, 1024, KvType::kF32), 1024u * 2 * 64 * 4);
  EXPECT_EQ(KvCache::BytesFor(config, 1024, KvType::kF16), 1024u * 2 * 64 * 2);
  EXPECT_EQ(KvCache::BytesFor(config, 1024, KvType::kQ8), 1024u * 2 * (64 + 2 * 2));
}

TEST(KvCacheTest, SlotsAreAlignedDisjointAndFillTheCache) {
  for (const KvType type : kKvTypes) {
    for (const uint32_t head_dim : {2, 6, 8, 10, 16, 17, 64, 80}) {
      const ModelConfig config = Shape(3, 2, head_dim);
      const KvCache cache = Make(config, 37, type);
      const std::byte* const begin = cache.Slot(0, 0).keys;
      const std::byte* next = begin;
      for (size_t layer = 0; layer < 3; ++layer) {
        for (size_t head = 0; head < 2; ++head) {
          const KvSlot slot = cache.Slot(layer, head);
          EXPECT_EQ(slot.keys, next);
          EXPECT_EQ(slot.values, slot.keys + 3 * slot.key_panel_bytes());
          EXPECT_EQ(reinterpret_cast<uintptr_t>(slot.keys) % kLineBytes, 0u);
          EXPECT_EQ(reinterpret_cast<uintptr_t>(slot.values) % kLineBytes, 0u);
          EXPECT_EQ(slot.head_dim, head_dim);
          EXPECT_EQ(slot.capacity, 48u);
          next = slot.values + PanelCount(head_dim) * slot.value_panel_bytes();
          if (type == KvType::kQ8) {
            EXPECT_EQ(reinterpret_cast<const std::byte*>(slot.value_scales), next);
            next += RoundUp((head_dim + 31) / 32 * 48 * 2, kLineBytes);
          } else {
            EXPECT_EQ(slot.value_scales, nullptr);
          }
        }
      }
      EXPECT_EQ(static_cast<size_t>(next - begin), KvCache::BytesFor(config, 37, type));
    }
  }
}

TEST(KvCacheTest, StartsAtZero) {
  for (const KvType type : kKvTypes) {
    const ModelConfig config = Shape(2, 2, 10);
    const KvCache cache = Make(config, 20, type);
    const std::byte* bytes = cache.Slot(0, 0).keys;
    for (size_t i = 0; i < KvCache::BytesFor(config, 20, type); ++i)
      ASSERT_EQ(bytes[i], std::byte{0});
  }
}

TEST(KvCacheTest, OperandsOfAProduct) {
  for (const KvType type : kKvTypes) {
    const KvCache cache = Make(Shape(1, 1, 40), 64, type);
    const KvSlot slot = cache.Slot(0, 0);
    const TileMatrix keys = slot.Keys(21);
    EXPECT_EQ(keys.type, slot.key_type());
    EXPECT_EQ(keys.rows, 21u);
    EXPECT_EQ(keys.cols, 40u);
    EXPECT_EQ(keys.Panel(1), slot.keys + slot.key_panel_bytes());
    const TileMatrix values = slot.Values(21);
    EXPECT_EQ(values.type, slot.value_type());
    EXPECT_EQ(values.rows, 40u);
    EXPECT_EQ(values.cols, 21u);
    ASSERT_EQ(values.panels(), 3u);
    for (size_t p = 0; p < 3; ++p)
      EXPECT_EQ(values.Panel(p), slot.values + p * slot.value_panel_bytes());
  }
}

TEST(KvCacheTest, TruncateClearsTheValuesThatAProductWouldStillRead) {
  const ModelConfig config = Shape(2, 2, 34);
  for (const KvType type : kKvTypes) {
    const size_t element = type == KvType::kF32 ? 4 : type == KvType::kF16 ? 2 : 1;
    for (const size_t position : {0, 1, 4, 5, 7, 8, 31, 32}) {
      KvCache cache = Make(config, 32, type);
      std::memset(cache.Slot(0, 0).keys, 7, KvCache::BytesFor(config, 32, type));
      cache.Truncate(position);
      const auto expected = [&](size_t p) {
        return position <= p && p < RoundUp(position, kDotChains) ? 0 : 7;
      };
      for (size_t slot_index = 0; slot_index < 4; ++slot_index) {
        const KvSlot slot = cache.Slot(slot_index / 2, slot_index % 2);
        // Keys of 34 dimensions in the panel of `position`, from there on.
        size_t cleared = 0;
        for (const std::byte* b = slot.keys; b < slot.values; ++b) cleared += *b == std::byte{0};
        const size_t rows = RoundUp(position, kPanelRows) - position;
        const size_t row_bytes = type == KvType::kQ8 ? 64 + 2 * 2 : 34 * element;
        ASSERT_EQ(cleared, rows * row_bytes) << position;
        for (size_t panel = 0; panel < 3; ++panel) {
          for (size_t p = 0; p < 32; ++p) {
            const std::byte* column =
                slot.values + panel * slot.value_panel_bytes() + p * kPanelRows * element;
            for (size_t i = 0; i < kPanelRows * element; ++i)
              ASSERT_EQ(std::to_integer<int>(column[i]), expected(p)) << position << ' ' << p;
          }
        }
        if (type != KvType::kQ8) continue;
        for (size_t block = 0; block < 2; ++block) {
          for (size_t p = 0; p < 32; ++p)
            ASSERT_EQ(slot.value_scales[block * 32 + p], expected(p) * 0x0101) << position;
        }
      }
    }
  }
}

TEST(KvCacheTest, SaysWhenThereIsNoAddressSpace) {
  ModelConfig config = Shape(1024, 4096, 1024);
  const absl::StatusOr<KvCache> cache = KvCache::Create(config, size_t{1} << 24, KvType::kF32);
  ASSERT_FALSE(cache.ok());
  EXPECT_EQ(cache.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(cache.status().message().find("bytes"), absl::string_view::npos);
}

}  // namespace
}  // namespace tvl
