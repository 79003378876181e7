#include "core/kernel.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/tensor_view.h"
#include "core/tile.h"

struct MyKernel {
  static constexpr std::string_view kName = "my_kernel";
  static constexpr size_t kFloatBatch = 1;
  static constexpr size_t kQuantBatch = 1;
  template <tvl::WeightType W>
  static void Gemv(const tvl::TileMatrix&, tvl::PanelRange, const tvl::RowsFor<W>&,
                   float*) noexcept;
  template <tvl::WeightType W>
  static void Gemm(const tvl::TileMatrix&, tvl::PanelRange, const tvl::RowsFor<W>&, size_t, float*,
                   size_t) noexcept;
  template <tvl::WeightType W>
  static void EmbedRow(const tvl::TileMatrix&, size_t, float*) noexcept;
  static void QuantizeActivations(const float*, size_t, const tvl::QuantizedRows&) noexcept;
  static void RoundToF16(const float*, size_t, uint16_t*) noexcept;
  static void ScaleByF16(const float*, const uint16_t*, size_t, float*) noexcept;
#ifndef MISSING
  static void RmsNorm(const float*, const float*, size_t, float, float*) noexcept;
#endif
  static void Rope(const float*, const float*, const float*, size_t, float*) noexcept;
  static void Softmax(float*, size_t, float) noexcept;
  static void SwiGlu(const float*, const float*, size_t, float*) noexcept;
  static void Add(const float*, size_t, float*) noexcept;
};

static_assert(tvl::Kernel<MyKernel>);
