// Products of weights of the quantised types with several tokens.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_QUANTIZED_GEMM_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_QUANTIZED_GEMM_H_

#include <cstddef>

#include "core/activations.h"
#include "core/tensor_view.h"
#include "core/tile.h"

namespace tvl::neon {

// See Kernel::Gemm.
template <WeightType W>
void QuantizedGemm(const TileMatrix& w, PanelRange panels, const QuantizedRows& x, size_t tokens,
                   float* y, size_t y_stride) noexcept;

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_QUANTIZED_GEMM_H_
