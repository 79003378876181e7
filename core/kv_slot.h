// The keys and values of one layer and one KV head, as tiles.
#ifndef TVL_CORE_KV_SLOT_H_
#define TVL_CORE_KV_SLOT_H_

#include <cstddef>
#include <cstdint>

#include "core/tensor_view.h"
#include "core/tile.h"

namespace tvl {

// K is a tile matrix whose rows are positions: appending writes one float to each line of a panel.
// V is one whose rows are dimensions and whose k is the position: appending writes one line per
// panel. So attention is the same product that multiplies weights, and earlier positions are never
// rewritten.
struct KvSlot {
  float* keys = nullptr;    // (capacity rows) x (head_dim), f32 tiles
  float* values = nullptr;  // (head_dim rows) x (capacity), f32 tiles
  uint32_t head_dim = 0;
  uint32_t capacity = 0;  // positions, a multiple of 16

  // Floats between panels.
  size_t key_panel_stride() const { return RoundUp(head_dim, kDotChains) * kPanelRows; }
  size_t value_panel_stride() const { return size_t{capacity} * kPanelRows; }

  // Sizes in floats.
  static size_t KeyFloats(size_t head_dim, size_t capacity) {
    return capacity * RoundUp(head_dim, kDotChains);
  }
  static size_t ValueFloats(size_t head_dim, size_t capacity) {
    return RoundUp(head_dim, kPanelRows) * capacity;
  }

  // The first n positions, as operands of a product.
  TileMatrix Keys(size_t n) const {
    return DenseTileMatrix(reinterpret_cast<const std::byte*>(keys), WeightType::kF32, n, head_dim);
  }
  TileMatrix Values(size_t n) const {
    const size_t stride = value_panel_stride() * sizeof(float);
    return {reinterpret_cast<const std::byte*>(values),
            WeightType::kF32,
            head_dim,
            static_cast<uint32_t>(n),
            stride,
            stride * kPanelsPerUnit};
  }
};

}  // namespace tvl

#endif  // TVL_CORE_KV_SLOT_H_
