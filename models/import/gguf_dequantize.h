// Weights of GGUF's types, as f32 numbers and as the blocks that a .tvl file can take over.
//
// A scale is f16, and what it is multiplied with are small integers: every product is exact in f32,
// whatever the order. Where a minimum is added, that sum alone is rounded. So all programs that
// compute in f32 agree about a weight, and there is nothing to choose.
//
// The layouts are those of ggml's quantised blocks (ggml-common.h, ggml-quants.c).
#ifndef TVL_MODELS_IMPORT_GGUF_DEQUANTIZE_H_
#define TVL_MODELS_IMPORT_GGUF_DEQUANTIZE_H_

#include <cstddef>

#include "models/import/gguf_type.h"
#include "models/quantize.h"

namespace tvl {

// Writes `cols` weights. row: GgufTypeInfo::RowBytes(cols) bytes at any address. A scale that is
// not finite gives weights that are not.
void DequantizeGgufRow(GgufTensorType type, const std::byte* row, size_t cols, float* out);

// The 32 weights of a row that begin at 32 * block, as a block of the type that GgufTypeInfo names.
// REQUIRES: the type's keeping is kExact, and the .tvl type quantised, or kNearly.
QuantizedBlock TakeGgufBlock(const GgufTypeInfo& info, const std::byte* row, size_t block);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_GGUF_DEQUANTIZE_H_
