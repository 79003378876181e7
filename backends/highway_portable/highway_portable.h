// One source for every vector width, on Highway (https://github.com/google/highway) with static
// dispatch: AVX2 and AVX-512 on x86-64, NEON on ARM, as the build's -march says.
#ifndef TVL_BACKENDS_HIGHWAY_PORTABLE_HIGHWAY_PORTABLE_H_
#define TVL_BACKENDS_HIGHWAY_PORTABLE_HIGHWAY_PORTABLE_H_

#include <cstddef>
#include <string_view>

#include "core/kernel.h"
#include "core/kv_slot.h"
#include "core/tensor_view.h"
#include "core/tile.h"

namespace tvl {

// Operations, shapes and order: core/kernel.h.
struct HighwayPortable {
  static constexpr std::string_view kName = "highway_portable";

  template <WeightType W>
  requires(IsComputable(W)) static void Gemv(const TileMatrix& w, PanelRange panels, const float* x,
                                             float* y) noexcept;
  template <WeightType W>
  requires(IsComputable(W)) static void Gemm(const TileMatrix& w, PanelRange panels, const float* x,
                                             size_t x_stride, size_t tokens, float* y,
                                             size_t y_stride) noexcept;
  template <WeightType W>
  requires(IsComputable(W)) static void EmbedRow(const TileMatrix& w, size_t row,
                                                 float* out) noexcept;

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

static_assert(Kernel<HighwayPortable>);

}  // namespace tvl

#endif  // TVL_BACKENDS_HIGHWAY_PORTABLE_HIGHWAY_PORTABLE_H_
