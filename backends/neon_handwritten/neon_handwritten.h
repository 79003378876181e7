// The ARM64 backend: hand-written intrinsics, so that one source serves every core from the
// Cortex-A72 up. Plain ARMv8.0-A NEON but for the products of integers, which SDOT and SMMLA make
// where the device has them (block_sums.h, quantized_steps.h). What is newer still has nothing to
// offer to floats under the canonical order: BFDOT and BFMMLA round differently.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_NEON_HANDWRITTEN_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_NEON_HANDWRITTEN_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/activations.h"
#include "core/kernel.h"
#include "core/tensor_view.h"
#include "core/tile.h"

namespace tvl {

// Operations, shapes and order: core/kernel.h.
struct NeonHandwritten {
  static constexpr std::string_view kName = "neon_handwritten";
  // FMLA takes its second factor from a lane, so four inputs of one row come in one load.
  static constexpr size_t kFloatBatch = 1;
  // A register is a quad of inputs of each row (quantized_gemm.cc).
#ifdef __ARM_FEATURE_DOTPROD
  static constexpr size_t kQuantBatch = 4;
#else
  static constexpr size_t kQuantBatch = 1;
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

// Each type's code lies in a file of its own: gemv_f32.cc, gemm_f16.cc ...
#define TVL_DECLARE(W)                                                                            \
  template <>                                                                                     \
  void NeonHandwritten::Gemv<W>(const TileMatrix&, PanelRange, const RowsFor<W>&,                 \
                                float*) noexcept;                                                 \
  template <>                                                                                     \
  void NeonHandwritten::Gemm<W>(const TileMatrix&, PanelRange, const RowsFor<W>&, size_t, float*, \
                                size_t) noexcept;                                                 \
  template <>                                                                                     \
  void NeonHandwritten::EmbedRow<W>(const TileMatrix&, size_t, float*) noexcept
TVL_DECLARE(WeightType::kF32);
TVL_DECLARE(WeightType::kF16);
TVL_DECLARE(WeightType::kBF16);
TVL_DECLARE(WeightType::kQ8);
TVL_DECLARE(WeightType::kQ4);
TVL_DECLARE(WeightType::kQ4M);
TVL_DECLARE(WeightType::kQ4K);
TVL_DECLARE(WeightType::kQ5K);
TVL_DECLARE(WeightType::kQ6K);
#undef TVL_DECLARE
template <>
void NeonHandwritten::Gemv<WeightType::kI8>(const TileMatrix&, PanelRange, const FloatRows&,
                                            float*) noexcept;
template <>
void NeonHandwritten::Gemm<WeightType::kI8>(const TileMatrix&, PanelRange, const FloatRows&, size_t,
                                            float*, size_t) noexcept;

static_assert(Kernel<NeonHandwritten>);

}  // namespace tvl

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_NEON_HANDWRITTEN_H_
