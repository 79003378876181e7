// One source for every vector width, on Highway (https://github.com/google/highway) with static
// dispatch: AVX2 and AVX-512 on x86-64, NEON on ARM, as the build's -march says.
#ifndef TVL_BACKENDS_HIGHWAY_PORTABLE_HIGHWAY_PORTABLE_H_
#define TVL_BACKENDS_HIGHWAY_PORTABLE_HIGHWAY_PORTABLE_H_

#include <cstddef>
#include <string_view>

#include "core/activations.h"
#include "core/kernel.h"
#include "core/kv_slot.h"
#include "core/tensor_view.h"
#include "core/tile.h"

namespace tvl {

// Operations, shapes and order: core/kernel.h.
struct HighwayPortable {
  static constexpr std::string_view kName = "highway_portable";

  template <WeightType W>
  static void Gemv(const TileMatrix& w, PanelRange panels, const RowsFor<W>& x, float* y) noexcept;
  template <WeightType W>
  static void Gemm(const TileMatrix& w, PanelRange panels, const RowsFor<W>& x, size_t tokens,
                   float* y, size_t y_stride) noexcept;
  template <WeightType W>
  static void EmbedRow(const TileMatrix& w, size_t row, float* out) noexcept;

  static void QuantizeActivations(const float* x, size_t n, const QuantizedRows& out) noexcept;
  static void AppendKey(const float* k, size_t position, const KvSlot& slot) noexcept;
  static void AppendValue(const float* v, size_t position, const KvSlot& slot) noexcept;
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
#undef TVL_DECLARE

static_assert(Kernel<HighwayPortable>);

}  // namespace tvl

#endif  // TVL_BACKENDS_HIGHWAY_PORTABLE_HIGHWAY_PORTABLE_H_
