// The executable form of the canonical order: the shortest correct loops, never tuned. Every other
// backend is compared with this one by ==.
#ifndef TVL_BACKENDS_SCALAR_REFERENCE_SCALAR_REFERENCE_H_
#define TVL_BACKENDS_SCALAR_REFERENCE_SCALAR_REFERENCE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/activations.h"
#include "core/kernel.h"
#include "core/tensor_view.h"
#include "core/tile.h"

namespace tvl {

// Operations, shapes and order: core/kernel.h.
struct ScalarReference {
  static constexpr std::string_view kName = "scalar_reference";
  static constexpr size_t kFloatBatch = 1;
  static constexpr size_t kQuantBatch = 1;

  template <WeightType W>
  static void Gemv(const TileMatrix& w, PanelRange panels, const RowsFor<W>& x, float* y) noexcept;
  template <WeightType W>
  static void Gemm(const TileMatrix& w, PanelRange panels, const RowsFor<W>& x, size_t tokens,
                   float* y, size_t y_stride) noexcept;
  template <WeightType W>
  static void EmbedRow(const TileMatrix& w, size_t row, float* out) noexcept;

  static void QuantizeActivations(const float* x, size_t n, const QuantizedRows& out) noexcept;
  static void RoundToF16(const float* x, size_t n, uint16_t* out) noexcept;
  static void ScaleByF16(const float* x, const uint16_t* scales, size_t n, float* y) noexcept;
  static void RmsNorm(const float* x, const float* weight, size_t n, float epsilon,
                      float* y) noexcept;
  static void Rope(const float* x, const float* cos, const float* sin, size_t dims,
                   float* y) noexcept;
  static void Softmax(float* s, size_t n, float scale) noexcept;
  static void SwiGlu(const float* g, const float* u, size_t n, float* y) noexcept;
  static void Add(const float* x, size_t n, float* y) noexcept;
};

static_assert(Kernel<ScalarReference>);

}  // namespace tvl

#endif  // TVL_BACKENDS_SCALAR_REFERENCE_SCALAR_REFERENCE_H_
