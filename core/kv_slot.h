// The keys and values of one layer and one KV head, as tiles.
#ifndef TVL_CORE_KV_SLOT_H_
#define TVL_CORE_KV_SLOT_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/tensor_view.h"
#include "core/tile.h"

namespace tvl {

// The numbers that a KV cache keeps. The values are those of a session file. Never renumber.
enum class KvType : uint32_t {
  kF32 = 1,
  kF16 = 2,  // rounded to nearest, ties to even
  kQ8 = 3,   // 8 bits and a scale of 16 for each 32 dimensions
};

inline constexpr KvType kKvTypes[] = {KvType::kF32, KvType::kF16, KvType::kQ8};

// Name as it is written on the command line and printed.
constexpr const char* KvTypeName(KvType type) {
  switch (type) {
    case KvType::kF32:
      return "f32";
    case KvType::kF16:
      return "f16";
    case KvType::kQ8:
      return "q8";
  }
  return "unknown";
}

// K is a tile matrix whose rows are positions: appending writes a few bytes to each line of a
// panel. V is one whose rows are dimensions and whose k is the position: appending writes to one
// line per panel. So attention is the same product that multiplies weights, and earlier positions
// are never rewritten.
//
//     type   K      V
//     f32    f32    f32
//     f16    f16    f16
//     q8     q8     i8, and for each block of 32 dimensions a row of f16 scales, one per position
struct KvSlot {
  std::byte* keys = nullptr;         // (capacity rows) x (head_dim)
  std::byte* values = nullptr;       // (head_dim rows) x (capacity)
  uint16_t* value_scales = nullptr;  // (blocks of head_dim, capacity), f16; null unless q8
  KvType type = KvType::kF32;
  uint32_t head_dim = 0;
  uint32_t capacity = 0;  // positions, a multiple of 16

  WeightType key_type() const {
    return type == KvType::kF32   ? WeightType::kF32
           : type == KvType::kF16 ? WeightType::kF16
                                  : WeightType::kQ8;
  }
  WeightType value_type() const { return type == KvType::kQ8 ? WeightType::kI8 : key_type(); }

  // The slot in `memory`, which is 64-byte aligned and Bytes(...) long.
  static KvSlot In(std::byte* memory, KvType type, uint32_t head_dim, uint32_t capacity) {
    KvSlot slot = {memory, nullptr, nullptr, type, head_dim, capacity};
    slot.values = memory + capacity / kPanelRows * slot.key_panel_bytes();
    if (type == KvType::kQ8) {
      slot.value_scales = reinterpret_cast<uint16_t*>(slot.values + PanelCount(head_dim) *
                                                                        slot.value_panel_bytes());
    }
    return slot;
  }
  // A multiple of 64. REQUIRES: capacity is a multiple of 16.
  static size_t Bytes(KvType type, size_t head_dim, size_t capacity) {
    const KvSlot slot = {nullptr,
                         nullptr,
                         nullptr,
                         type,
                         static_cast<uint32_t>(head_dim),
                         static_cast<uint32_t>(capacity)};
    return capacity / kPanelRows * slot.key_panel_bytes() +
           PanelCount(head_dim) * slot.value_panel_bytes() +
           (type == KvType::kQ8
                ? RoundUp(slot.value_blocks() * capacity * sizeof(uint16_t), kLineBytes)
                : 0);
  }

  size_t key_panel_bytes() const { return PanelBytes(key_type(), head_dim); }
  size_t value_panel_bytes() const { return PanelBytes(value_type(), capacity); }
  // Blocks of dimensions that share a scale, and the panels of V that are in one.
  size_t value_blocks() const { return (head_dim + kQuantBlock - 1) / kQuantBlock; }
  static constexpr size_t kPanelsPerBlock = kQuantBlock / kPanelRows;

  // Calls f(span) for the parts of the slot that hold the first n positions, in a fixed order:
  // their keys in whole panels, and their values up to the next multiple of 4.
  template <typename F>
  void ForEachPart(size_t n, F&& f) const {
    const size_t columns = RoundUp(n, kDotChains);
    f(std::span(keys, PanelCount(n) * key_panel_bytes()));
    for (size_t panel = 0; panel < PanelCount(head_dim); ++panel) {
      f(std::span(values + panel * value_panel_bytes(), value_panel_bytes() / capacity * columns));
    }
    if (value_scales == nullptr) return;
    for (size_t block = 0; block < value_blocks(); ++block)
      f(std::as_writable_bytes(std::span(value_scales + block * capacity, columns)));
  }

  // Sets the keys of positions [first, last), which are of one panel, to 0.
  void ClearKeys(size_t first, size_t last) const {
    std::byte* panel = keys + first / kPanelRows * key_panel_bytes();
    for (size_t position = first; position < last; ++position) {
      const size_t row = position % kPanelRows;
      if (type == KvType::kF32) {
        for (size_t d = 0; d < head_dim; ++d)
          reinterpret_cast<float*>(panel)[TileIndexF32(row, d)] = 0;
      } else if (type == KvType::kF16) {
        for (size_t d = 0; d < head_dim; ++d)
          reinterpret_cast<uint16_t*>(panel)[TileIndexF16(row, d)] = 0;
      } else {
        for (size_t d = 0; d < RoundUp(head_dim, kQuantBlock); ++d)
          panel[TileByteQ8(row, d)] = std::byte{0};
        for (size_t d = 0; d < head_dim; d += kQuantBlock)
          reinterpret_cast<uint16_t*>(panel)[TileIndexScale(WeightType::kQ8, row, d)] = 0;
      }
    }
  }

  // For Keys and Values from position `first` on, a multiple of 16.
  KvSlot From(size_t first) const {
    KvSlot rest = *this;
    rest.keys += first / kPanelRows * key_panel_bytes();
    rest.values += value_panel_bytes() / capacity * first;
    if (value_scales != nullptr) rest.value_scales += first;
    return rest;
  }

  // The first n positions, as operands of a product.
  TileMatrix Keys(size_t n) const { return DenseTileMatrix(keys, key_type(), n, head_dim); }
  TileMatrix Values(size_t n) const {
    return {values,
            value_type(),
            head_dim,
            static_cast<uint32_t>(n),
            value_panel_bytes(),
            value_panel_bytes() * kPanelsPerUnit};
  }
};

}  // namespace tvl

#endif  // TVL_CORE_KV_SLOT_H_
