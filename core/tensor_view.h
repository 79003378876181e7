// Non-owning views of tile matrices. A view is valid as long as the mapping or buffer that it
// points into.
#ifndef TVL_CORE_TENSOR_VIEW_H_
#define TVL_CORE_TENSOR_VIEW_H_

#include <cstddef>
#include <cstdint>

#include "core/tile.h"

namespace tvl {

// A matrix of `rows` x `cols` stored as panels of tiles. The weight type is data, not a template
// parameter: one switch per product picks the kernel (see core/kernel.h).
//
// Panel p lies at data + (p / 2) * unit_stride + (p % 2) * panel_stride. Two strides, because gate
// and up alternate in the file by units of two panels, so that SwiGLU happens while both are in
// cache.
struct TileMatrix {
  const std::byte* data = nullptr;  // 64-byte aligned
  WeightType type = WeightType::kF32;
  // Logical; the last panel is padded with rows of +0, in a KV cache with rows of anything.
  uint32_t rows = 0;
  uint32_t cols = 0;  // logical; K is padded to PaddedCols(type, cols)
  size_t panel_stride = 0;
  size_t unit_stride = 0;

  size_t panels() const { return PanelCount(rows); }
  const std::byte* Panel(size_t p) const {
    return data + (p / kPanelsPerUnit) * unit_stride + (p % kPanelsPerUnit) * panel_stride;
  }
  // Rows of panel p that are not padding: 16 but for the last.
  size_t RowsOfPanel(size_t p) const {
    const size_t left = rows - p * kPanelRows;
    return left < kPanelRows ? left : kPanelRows;
  }
};

// The view of a matrix whose panels follow each other without a gap.
inline TileMatrix DenseTileMatrix(const std::byte* data, WeightType type, size_t rows,
                                  size_t cols) {
  const size_t panel = PanelBytes(type, cols);
  return {data,
          type,
          static_cast<uint32_t>(rows),
          static_cast<uint32_t>(cols),
          panel,
          panel * kPanelsPerUnit};
}

// Gate (first) and up (second) of a feed-forward layer, stored alternately: unit 0 of gate, unit 0
// of up, unit 1 of gate ... Each is padded to whole units.
struct TilePair {
  TileMatrix first;
  TileMatrix second;
};

inline TilePair InterleavedTilePair(const std::byte* data, WeightType type, size_t rows,
                                    size_t cols) {
  const size_t panel = PanelBytes(type, cols);
  TileMatrix first = {data,
                      type,
                      static_cast<uint32_t>(rows),
                      static_cast<uint32_t>(cols),
                      panel,
                      panel * kPanelsPerUnit * 2};
  TileMatrix second = first;
  second.data = data + panel * kPanelsPerUnit;
  return {first, second};
}

// Unit `unit` of a matrix, as a matrix of its own.
inline TileMatrix UnitOf(const TileMatrix& w, size_t unit) {
  TileMatrix part = w;
  part.data = w.data + unit * w.unit_stride;
  const size_t left = w.rows - unit * kUnitRows;
  part.rows = static_cast<uint32_t>(left < kUnitRows ? left : kUnitRows);
  return part;
}

// Half-open range of panels of one matrix.
struct PanelRange {
  size_t begin = 0;
  size_t end = 0;
};

}  // namespace tvl

#endif  // TVL_CORE_TENSOR_VIEW_H_
