// One source for every vector width, on Highway (https://github.com/google/highway) with static
// dispatch: AVX2 and AVX-512 on x86-64, NEON on ARM, as the build's -march says.
#ifndef TVL_BACKENDS_HIGHWAY_PORTABLE_HIGHWAY_PORTABLE_H_
#define TVL_BACKENDS_HIGHWAY_PORTABLE_HIGHWAY_PORTABLE_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/activations.h"
#include "core/kernel.h"
#include "core/tensor_view.h"
#include "core/tile.h"

namespace tvl {

// Operations, shapes and order: core/kernel.h.
struct HighwayPortable {
  static constexpr std::string_view kName = "highway_portable";
  // As many rows as leave room in the registers for their sums with the panels of a pass
  // (products.cc, quantized_products.cc, k_quant_products.cc).
#ifdef __AVX512F__
  static constexpr size_t kFloatBatch = 12;
  static constexpr size_t kQuantBatch = 6;
#else
  static constexpr size_t kFloatBatch = 6;
  static constexpr size_t kQuantBatch = 3;
#endif

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

// Each type has code of its own.
#define TVL_DECLARE(W)                                                                            \
  template <>                                                                                     \
  void HighwayPortable::Gemv<W>(const TileMatrix&, PanelRange, const RowsFor<W>&,                 \
                                float*) noexcept;                                                 \
  template <>                                                                                     \
  void HighwayPortable::Gemm<W>(const TileMatrix&, PanelRange, const RowsFor<W>&, size_t, float*, \
                                size_t) noexcept
TVL_DECLARE(WeightType::kF32);
TVL_DECLARE(WeightType::kF16);
TVL_DECLARE(WeightType::kBF16);
TVL_DECLARE(WeightType::kQ8);
TVL_DECLARE(WeightType::kQ4);
TVL_DECLARE(WeightType::kQ4M);
TVL_DECLARE(WeightType::kQ4K);
TVL_DECLARE(WeightType::kQ5K);
TVL_DECLARE(WeightType::kQ6K);
TVL_DECLARE(WeightType::kI8);
#undef TVL_DECLARE

static_assert(Kernel<HighwayPortable>);

}  // namespace tvl

#endif  // TVL_BACKENDS_HIGHWAY_PORTABLE_HIGHWAY_PORTABLE_H_
