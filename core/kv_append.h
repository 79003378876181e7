// Appending a position to the KV cache: rounding by the backend, placing by the layout of tiles.
#ifndef TVL_CORE_KV_APPEND_H_
#define TVL_CORE_KV_APPEND_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/activations.h"
#include "core/float16.h"
#include "core/kernel.h"
#include "core/kv_slot.h"
#include "core/tile.h"

namespace tvl {

namespace kv_append_internal {

// `n` numbers, at most 32, as 8-bit integers with a scale.
struct Block {
  alignas(kLineBytes) int8_t quants[kQuantBlock];
  uint16_t scale;  // f16

  template <QuantizeKernel K>
  void Quantize(const float* x, size_t n) {
    float wide;
    int32_t sum, half_sum;
    K::QuantizeActivations(x, n, {quants, &wide, &sum, &half_sum, 0, 0});
    scale = F32ToF16(wide);
  }
};

// Rows d of column `position` of V, whose elements are of type T.
template <typename T, typename Index>
void PlaceValues(const T* v, size_t first, size_t n, size_t position, const KvSlot& slot,
                 Index&& index) {
  for (size_t d = first; d < first + n; d += kPanelRows) {
    T* panel = reinterpret_cast<T*>(slot.values + d / kPanelRows * slot.value_panel_bytes());
    const size_t rows = std::min(kPanelRows, first + n - d);
    std::memcpy(panel + index(0, position), v + (d - first), rows * sizeof(T));
    // A product over any prefix reads up to the next multiple of 4.
    if (position % kDotChains != 0) continue;
    for (size_t ahead = 1; ahead < kDotChains; ++ahead)
      std::memset(panel + index(0, position + ahead), 0, rows * sizeof(T));
  }
}

}  // namespace kv_append_internal

// Row `position` of K = k, rotated (head_dim): as it is (f32), rounded to f16 (f16), or as
// QuantizeActivations quantises it, with its scales rounded to f16 (q8). So magnitudes from 65520
// on become infinite in f16, and blocks with one from about 8.3 million on in q8; below 0.008 a
// block's scale of q8 has fewer bits. Writes nothing else.
template <typename K>
requires QuantizeKernel<K> && RoundKernel<K>
void AppendKey(const float* k, size_t position, const KvSlot& slot) noexcept {
  std::byte* panel = slot.keys + position / kPanelRows * slot.key_panel_bytes();
  const size_t row = position % kPanelRows;
  switch (slot.type) {
    case KvType::kF32:
      for (size_t d = 0; d < slot.head_dim; ++d)
        reinterpret_cast<float*>(panel)[TileIndexF32(row, d)] = k[d];
      return;
    case KvType::kF16: {
      uint16_t rounded[kQuantBlock];
      for (size_t d = 0; d < slot.head_dim; d += kQuantBlock) {
        const size_t n = std::min<size_t>(kQuantBlock, slot.head_dim - d);
        K::RoundToF16(k + d, n, rounded);
        for (size_t i = 0; i < n; ++i)
          reinterpret_cast<uint16_t*>(panel)[TileIndexF16(row, d + i)] = rounded[i];
      }
      return;
    }
    case KvType::kQ8:
      for (size_t d = 0; d < slot.head_dim; d += kQuantBlock) {
        kv_append_internal::Block block;
        block.Quantize<K>(k + d, std::min<size_t>(kQuantBlock, slot.head_dim - d));
        for (size_t i = 0; i < kQuantBlock; i += 4)
          std::memcpy(panel + TileByteQ8(row, d + i), block.quants + i, 4);
        reinterpret_cast<uint16_t*>(panel)[TileIndexScale(WeightType::kQ8, row, d)] = block.scale;
      }
      return;
  }
}

// Column `position` of V = v (head_dim), rounded or quantised as keys are; and columns position + 1
// to position + 3 = +0 when position is a multiple of 4, so that a product over any prefix reads +0
// beyond it. Writes nothing else.
template <typename K>
requires QuantizeKernel<K> && RoundKernel<K>
void AppendValue(const float* v, size_t position, const KvSlot& slot) noexcept {
  using kv_append_internal::PlaceValues;
  switch (slot.type) {
    case KvType::kF32:
      return PlaceValues(v, 0, slot.head_dim, position, slot, TileIndexF32);
    case KvType::kF16: {
      uint16_t rounded[kQuantBlock];
      for (size_t d = 0; d < slot.head_dim; d += kQuantBlock) {
        const size_t n = std::min<size_t>(kQuantBlock, slot.head_dim - d);
        K::RoundToF16(v + d, n, rounded);
        PlaceValues(rounded, d, n, position, slot, TileIndexF16);
      }
      return;
    }
    case KvType::kQ8:
      for (size_t d = 0; d < slot.head_dim; d += kQuantBlock) {
        const size_t n = std::min<size_t>(kQuantBlock, slot.head_dim - d);
        kv_append_internal::Block block;
        block.Quantize<K>(v + d, n);
        PlaceValues(block.quants, d, n, position, slot, TileIndexI8);
        uint16_t* scales = slot.value_scales + d / kQuantBlock * slot.capacity + position;
        *scales = block.scale;
        if (position % kDotChains == 0) std::fill(scales + 1, scales + kDotChains, uint16_t{0});
      }
      return;
  }
}

}  // namespace tvl

#endif  // TVL_CORE_KV_APPEND_H_
