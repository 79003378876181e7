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
#include "models/quantize_k.h"

namespace tvl {

// Writes `cols` weights. row: GgufTypeInfo::RowBytes(cols) bytes at any address. A scale that is
// not finite gives weights that are not.
void DequantizeGgufRow(GgufTensorType type, const std::byte* row, size_t cols, float* out);

// The 32 weights of a row that begin at 32 * block, as a block of the type that GgufTypeInfo names.
// REQUIRES: the type's keeping is kExact, and the .tvl type q8, q4 or q4m.
QuantizedBlock TakeGgufBlock(const GgufTypeInfo& info, const std::byte* row, size_t block);

// The 256 that begin at 256 * superblock, of Q4_K, Q5_K or Q6_K.
void TakeGgufSuperblock(const GgufTypeInfo& info, const std::byte* row, size_t superblock,
                        QuantizedSuperblock* out);

}  // namespace tvl

#endif  // TVL_MODELS_IMPORT_GGUF_DEQUANTIZE_H_
