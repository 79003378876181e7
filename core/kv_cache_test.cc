#include "core/kv_cache.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
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

KvCache Make(const ModelConfig& config, size_t context) {
  absl::StatusOr<KvCache> cache = KvCache::Create(config, context);
  EXPECT_TRUE(cache.ok()) << cache.status();
  return *std::move(cache);
}

TEST(KvCacheTest, CapacityIsWholePanels) {
  EXPECT_EQ(Make(Shape(1, 1, 8), 1).capacity(), 16u);
  EXPECT_EQ(Make(Shape(1, 1, 8), 16).capacity(), 16u);
  EXPECT_EQ(Make(Shape(1, 1, 8), 17).capacity(), 32u);
}

TEST(KvCacheTest, SlotsAreAlignedDisjointAndFillTheCache) {
  for (const uint32_t head_dim : {2, 6, 8, 10, 16, 17, 64}) {
    const ModelConfig config = Shape(3, 2, head_dim);
    const KvCache cache = Make(config, 37);
    const size_t keys = 48 * RoundUp(head_dim, 4), values = 48 * RoundUp(head_dim, 16);
    EXPECT_EQ(KvCache::BytesFor(config, 37), (keys + values) * sizeof(float) * 3 * 2);
    const float* next = cache.Slot(0, 0).keys;
    for (size_t layer = 0; layer < 3; ++layer) {
      for (size_t head = 0; head < 2; ++head) {
        const KvSlot slot = cache.Slot(layer, head);
        EXPECT_EQ(slot.keys, next);
        EXPECT_EQ(slot.values, slot.keys + keys);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(slot.keys) % kLineBytes, 0u);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(slot.values) % kLineBytes, 0u);
        EXPECT_EQ(slot.head_dim, head_dim);
        EXPECT_EQ(slot.capacity, 48u);
        next = slot.values + values;
      }
    }
  }
}

TEST(KvCacheTest, StartsAtZero) {
  const KvCache cache = Make(Shape(2, 2, 10), 20);
  const KvSlot last = cache.Slot(1, 1);
  for (size_t i = 0; i < KvSlot::KeyFloats(10, 32); ++i) ASSERT_EQ(last.keys[i], 0.0f);
  for (size_t i = 0; i < KvSlot::ValueFloats(10, 32); ++i) ASSERT_EQ(last.values[i], 0.0f);
}

TEST(KvCacheTest, OperandsOfAProduct) {
  const KvCache cache = Make(Shape(1, 1, 40), 64);
  const KvSlot slot = cache.Slot(0, 0);
  const TileMatrix keys = slot.Keys(21);
  EXPECT_EQ(keys.rows, 21u);
  EXPECT_EQ(keys.cols, 40u);
  EXPECT_EQ(reinterpret_cast<const float*>(keys.Panel(1)), slot.keys + slot.key_panel_stride());
  const TileMatrix values = slot.Values(21);
  EXPECT_EQ(values.rows, 40u);
  EXPECT_EQ(values.cols, 21u);
  ASSERT_EQ(values.panels(), 3u);
  for (size_t p = 0; p < 3; ++p) {
    EXPECT_EQ(reinterpret_cast<const float*>(values.Panel(p)),
              slot.values + p * slot.value_panel_stride());
  }
  // The last panel of V ends where the slot does.
  EXPECT_EQ(3 * slot.value_panel_stride(), KvSlot::ValueFloats(40, 64));
}

TEST(KvCacheTest, TruncateClearsTheValuesThatAProductWouldStillRead) {
  for (const size_t position : {0, 1, 4, 5, 7, 8, 31, 32}) {
    KvCache cache = Make(Shape(2, 2, 18), 32);
    for (size_t layer = 0; layer < 2; ++layer) {
      for (size_t head = 0; head < 2; ++head) {
        const KvSlot slot = cache.Slot(layer, head);
        for (size_t i = 0; i < KvSlot::ValueFloats(18, 32); ++i) slot.values[i] = 7;
      }
    }
    cache.Truncate(position);
    for (size_t layer = 0; layer < 2; ++layer) {
      for (size_t head = 0; head < 2; ++head) {
        const KvSlot slot = cache.Slot(layer, head);
        for (size_t d = 0; d < 18; ++d) {
          const float* panel = slot.values + d / kPanelRows * slot.value_panel_stride();
          for (size_t p = 0; p < position; ++p)
            ASSERT_EQ(panel[TileIndexF32(d % kPanelRows, p)], 7.0f);
          for (size_t p = position; p < RoundUp(position, kDotChains); ++p) {
            ASSERT_EQ(panel[TileIndexF32(d % kPanelRows, p)], 0.0f) << position << ' ' << p;
          }
        }
      }
    }
  }
}

TEST(KvCacheTest, SaysWhenThereIsNoAddressSpace) {
  ModelConfig config = Shape(1024, 4096, 1024);
  const absl::StatusOr<KvCache> cache = KvCache::Create(config, size_t{1} << 24);
  ASSERT_FALSE(cache.ok());
  EXPECT_EQ(cache.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(cache.status().message().find("bytes"), absl::string_view::npos);
}

}  // namespace
}  // namespace tvl
