// The inputs of products: rows of activations, in the form that each type of weights asks for.
#ifndef TVL_CORE_ACTIVATIONS_H_
#define TVL_CORE_ACTIVATIONS_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "core/tile.h"

namespace tvl {

// Vectors of K numbers, a row each, for weights of f32, f16 and bf16. +0 from K to the next
// multiple of 4, which products read too. Alignment: that of float.
struct FloatRows {
  const float* data = nullptr;  // (rows, stride)
  size_t stride = 0;

  const float* Row(size_t t) const { return data + t * stride; }
  FloatRows From(size_t t) const { return {Row(t), stride}; }
};

// The same quantised to 8 bits, for weights of q8, q4 and q4m: in blocks of 32 along K, x[k] is
// about scales[k / 32] * quants[k]. K is padded to whole superblocks, and there all is 0. A view of
// memory that somebody else owns; QuantizeActivations (core/kernel.h) writes it, of the padding
// only what its last block holds.
struct QuantizedRows {
  // (rows, quant_stride), each -127 to 127; 64-byte aligned, 32-byte after FromBlock
  int8_t* quants = nullptr;
  float* scales = nullptr;  // (rows, block_stride)
  int32_t* sums = nullptr;  // (rows, block_stride): of the quants of each block
  size_t quant_stride = 0;  // a multiple of 64
  size_t block_stride = 0;

  QuantizedRows From(size_t t) const {
    return {quants + t * quant_stride, scales + t * block_stride, sums + t * block_stride,
            quant_stride, block_stride};
  }
  // All rows without their first blocks.
  QuantizedRows FromBlock(size_t block) const {
    return {quants + block * kQuantBlock, scales + block, sums + block, quant_stride, block_stride};
  }

  // Of rows of n numbers.
  static constexpr size_t QuantStride(size_t n) { return RoundUp(n, kSuperblock); }
  static constexpr size_t Blocks(size_t n) { return QuantStride(n) / kQuantBlock; }
};

// What a product with weights of type W takes.
template <WeightType W>
using RowsFor = std::conditional_t<IsQuantized(W), QuantizedRows, FloatRows>;

// Both forms of the same rows. The quantised one may be absent where no weights ask for it.
struct Activations {
  FloatRows floats;
  QuantizedRows quantized;

  template <WeightType W>
  const RowsFor<W>& For() const {
    if constexpr (IsQuantized(W)) {
      return quantized;
    } else {
      return floats;
    }
  }
};

}  // namespace tvl

#endif  // TVL_CORE_ACTIVATIONS_H_
