// Keys and values of all layers and KV heads of one sequence, as tiles.
#ifndef TVL_CORE_KV_CACHE_H_
#define TVL_CORE_KV_CACHE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/kv_slot.h"
#include "core/mapped_file.h"
#include "core/model_config.h"
#include "core/tile.h"

namespace tvl {

// Memory is reserved for the whole capacity and taken page by page as positions are written. Fresh
// pages are zero, which the value product relies on (see AppendValue in core/kv_append.h).
class KvCache {
 public:
  // Room for `context` positions. ResourceExhausted if the address space cannot be had.
  static absl::StatusOr<KvCache> Create(const ModelConfig& config, size_t context, KvType type) {
    KvCache cache(config, context, type);
    absl::StatusOr<ZeroPages> pages = ZeroPages::Allocate(BytesFor(config, context, type));
    if (!pages.ok()) return pages.status();
    cache.pages_ = *std::move(pages);
    const size_t huge = cache.pages_.size() / ZeroPages::kHugePageBytes;
    cache.expected_.resize(huge == 0 ? 0 : huge - 1);
    cache.huge_.resize(cache.expected_.size());
    return cache;
  }

  // Bytes that a full cache takes.
  static size_t BytesFor(const ModelConfig& config, size_t context, KvType type) {
    return KvSlot::Bytes(type, config.head_dim, RoundUp(context, kPanelRows)) * config.n_layers *
           config.n_kv_heads;
  }

  size_t capacity() const { return capacity_; }
  KvType type() const { return type_; }

  KvSlot Slot(size_t layer, size_t kv_head) const {
    return KvSlot::In(pages_.data() + (layer * n_kv_heads_ + kv_head) * slot_bytes_, type_,
                      head_dim_, static_cast<uint32_t>(capacity_));
  }

  // Calls f(span) for the parts of the cache that hold the first `positions`: layer by layer, head
  // by head, each as KvSlot::ForEachPart. Written to another cache of the same model and type,
  // whatever its capacity, they make it hold the same.
  template <typename F>
  void ForEachPart(size_t positions, F&& f) const {
    for (size_t layer = 0; layer < n_layers_; ++layer) {
      for (size_t head = 0; head < n_kv_heads_; ++head) Slot(layer, head).ForEachPart(positions, f);
    }
  }

  // To be called before positions up to `positions` are written: memory of which they take half and
  // more may come in huge pages, which decoding reads faster. `now`: see ZeroPages::AllowHugePage.
  // Allocates nothing.
  void Expect(size_t positions, bool now) {
    constexpr size_t kHuge = ZeroPages::kHugePageBytes;
    const uintptr_t begin = reinterpret_cast<uintptr_t>(pages_.data());
    const uintptr_t first = RoundUp(begin, kHuge);  // whole pages of 2 MB lie from here on
    std::fill(expected_.begin(), expected_.end(), 0);
    ForEachPart(positions, [&](std::span<std::byte> part) {
      uintptr_t at = reinterpret_cast<uintptr_t>(part.data());
      const uintptr_t end = at + part.size();
      for (at = std::max(at, first); at < end;) {
        const size_t page = (at - first) / kHuge;
        if (page >= expected_.size()) return;
        const uintptr_t next = std::min(end, first + (page + 1) * kHuge);
        expected_[page] += static_cast<uint32_t>(next - at);
        at = next;
      }
    });
    for (size_t page = 0; page < expected_.size(); ++page) {
      if (huge_[page] || expected_[page] < kHuge / 2) continue;
      huge_[page] = true;
      pages_.AllowHugePage(pages_.data() + (first - begin) + page * kHuge, now);
    }
  }

  // Forgets the positions from `position` on. Cleared are the values that a product over the
  // remaining prefix would still read (up to the next multiple of 4), and what else ForEachPart
  // would give: keys up to the end of the panel. The rest is overwritten before it is read.
  void Truncate(size_t position) {
    for (size_t layer = 0; layer < n_layers_; ++layer) {
      for (size_t head = 0; head < n_kv_heads_; ++head) {
        const KvSlot slot = Slot(layer, head);
        const size_t end = RoundUp(position, kDotChains);
        slot.ClearKeys(position, RoundUp(position, kPanelRows));
        // Of every type the 16 rows of a position lie side by side.
        const size_t column = slot.value_panel_bytes() / capacity_;
        for (size_t panel = 0; panel < PanelCount(head_dim_); ++panel) {
          std::memset(slot.values + panel * slot.value_panel_bytes() + position * column, 0,
                      (end - position) * column);
        }
        if (slot.value_scales == nullptr) continue;
        for (size_t block = 0; block < slot.value_blocks(); ++block) {
          uint16_t* scales = slot.value_scales + block * capacity_;
          std::fill(scales + position, scales + end, uint16_t{0});
        }
      }
    }
  }

 private:
  KvCache(const ModelConfig& config, size_t context, KvType type)
      : n_layers_(config.n_layers),
        n_kv_heads_(config.n_kv_heads),
        head_dim_(config.head_dim),
        capacity_(RoundUp(context, kPanelRows)),
        type_(type),
        slot_bytes_(KvSlot::Bytes(type, head_dim_, capacity_)) {}

  size_t n_layers_;
  size_t n_kv_heads_;
  uint32_t head_dim_;
  size_t capacity_;
  KvType type_;
  size_t slot_bytes_;
  ZeroPages pages_;
  // Of each whole 2 MB of pages_: bytes of it that are expected to be used, and whether it was said
  // that it may be a huge page.
  std::vector<uint32_t> expected_;
  std::vector<bool> huge_;
};

}  // namespace tvl

#endif  // TVL_CORE_KV_CACHE_H_
