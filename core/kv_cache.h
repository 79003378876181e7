// Keys and values of all layers and KV heads of one sequence, f32, as tiles.
#ifndef TVL_CORE_KV_CACHE_H_
#define TVL_CORE_KV_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "core/kv_slot.h"
#include "core/mapped_file.h"
#include "core/model_config.h"
#include "core/tile.h"

namespace tvl {

// Memory is reserved for the whole capacity and taken page by page as positions are written. Fresh
// pages are zero, which the value product relies on (see AppendValue in core/kernel.h).
class KvCache {
 public:
  // Room for `context` positions. ResourceExhausted if the address space cannot be had.
  static absl::StatusOr<KvCache> Create(const ModelConfig& config, size_t context) {
    KvCache cache(config, context);
    absl::StatusOr<ZeroPages> pages = ZeroPages::Allocate(BytesFor(config, context));
    if (!pages.ok()) return pages.status();
    cache.pages_ = *std::move(pages);
    return cache;
  }

  // Bytes that a full cache takes.
  static size_t BytesFor(const ModelConfig& config, size_t context) {
    const size_t capacity = RoundUp(context, kPanelRows);
    const size_t slot = KvSlot::KeyFloats(config.head_dim, capacity) +
                        KvSlot::ValueFloats(config.head_dim, capacity);
    return slot * config.n_layers * config.n_kv_heads * sizeof(float);
  }

  size_t capacity() const { return capacity_; }

  KvSlot Slot(size_t layer, size_t kv_head) const {
    const size_t key_floats = KvSlot::KeyFloats(head_dim_, capacity_);
    const size_t slot_floats = key_floats + KvSlot::ValueFloats(head_dim_, capacity_);
    float* base =
        reinterpret_cast<float*>(pages_.data()) + (layer * n_kv_heads_ + kv_head) * slot_floats;
    return {base, base + key_floats, head_dim_, static_cast<uint32_t>(capacity_)};
  }

  // Forgets the positions from `position` on. Only the values that a product over the remaining
  // prefix would still read (up to the next multiple of 4) have to be cleared; the rest is
  // overwritten before it is read.
  void Truncate(size_t position) {
    for (size_t layer = 0; layer < n_layers_; ++layer) {
      for (size_t head = 0; head < n_kv_heads_; ++head) {
        const KvSlot slot = Slot(layer, head);
        for (size_t d = 0; d < RoundUp(head_dim_, kPanelRows); ++d) {
          float* panel = slot.values + d / kPanelRows * slot.value_panel_stride();
          for (size_t p = position; p < RoundUp(position, kDotChains); ++p)
            panel[TileIndexF32(d % kPanelRows, p)] = 0;
        }
      }
    }
  }

 private:
  KvCache(const ModelConfig& config, size_t context)
      : n_layers_(config.n_layers),
        n_kv_heads_(config.n_kv_heads),
        head_dim_(config.head_dim),
        capacity_(RoundUp(context, kPanelRows)) {}

  size_t n_layers_;
  size_t n_kv_heads_;
  uint32_t head_dim_;
  size_t capacity_;
  ZeroPages pages_;
};

}  // namespace tvl

#endif  // TVL_CORE_KV_CACHE_H_
