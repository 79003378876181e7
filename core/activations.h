// The inputs of products: rows of activations, in the form that each type of weights asks for.
//
// A product with one row takes it as it is. A product with several takes them in *batches*: B rows
// interleaved, so that what a kernel multiplies with one step's weights lies side by side. B is the
// backend's (kFloatBatch and kQuantBatch of core/kernel.h); with B = 1 batches are plain rows. The
// last batch may have fewer rows than its memory has room for: those hold anything, and may be
// read. Input k of row t lies
//
//     floats, B > 1    data[t / B * B * stride + k % 4 * (stride / 4) * B + k / 4 * B + t % B]
//     quants           quants[t / B * B * quant_stride + k / 4 * 4 * B + t % B * 4 + k % 4]
//     scales and sums  scales[t / B * B * block_stride + k / 32 * B + t % B]
//
// where stride is a multiple of 4. A product with one row looks at no stride.
#ifndef TVL_CORE_ACTIVATIONS_H_
#define TVL_CORE_ACTIVATIONS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "core/tile.h"

namespace tvl {

// Vectors of K numbers, a row each, for weights of f32, f16, bf16 and i8. +0 from K to the next
// multiple of 4, which products read too. Alignment: that of float.
struct FloatRows {
  // (rows, stride). In batches of B > 1 (rows / B, 4, stride / 4, B): the four chains of the
  // canonical dot lie apart.
  const float* data = nullptr;
  size_t stride = 0;

  const float* Row(size_t t) const { return data + t * stride; }
  // In batches: t is a multiple of B.
  FloatRows From(size_t t) const { return {Row(t), stride}; }
};

// The same quantised to 8 bits, for the quantised types: in blocks of 32 along K, x[k] is about
// scales[k / 32] * quants[k]. K is padded to the longest superblocks, and there all is 0. A view of
// memory that somebody else owns; QuantizeActivations (core/kernel.h) writes it, of the padding
// only what its last block holds.
struct QuantizedRows {
  // (rows, quant_stride), each -127 to 127; 64-byte aligned, 32-byte after FromBlock. In batches
  // (rows / B, quant_stride / 4, B, 4): quads of inputs stay together.
  int8_t* quants = nullptr;
  float* scales = nullptr;  // (rows, block_stride); in batches (rows / B, block_stride, B)
  int32_t* sums = nullptr;  // as scales: of the quants of each block
  // As sums: of the first 16 quants of each block, since blocks of q6k are of 16.
  int32_t* half_sums = nullptr;
  size_t quant_stride = 0;  // a multiple of 64
  size_t block_stride = 0;

  // In batches: t is a multiple of B.
  QuantizedRows From(size_t t) const {
    return {quants + t * quant_stride,
            scales + t * block_stride,
            sums + t * block_stride,
            half_sums + t * block_stride,
            quant_stride,
            block_stride};
  }
  // All rows without their first blocks. Not of batches.
  QuantizedRows FromBlock(size_t block) const {
    return {quants + block * kQuantBlock,
            scales + block,
            sums + block,
            half_sums + block,
            quant_stride,
            block_stride};
  }

  // Of rows of n numbers.
  static constexpr size_t QuantStride(size_t n) { return RoundUp(n, kKSuperblock); }
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

// Writes to rows t to t + count - 1 of `batches`, which are of one batch, from input `first` on: n
// numbers of each of the rows, and +0 up to `padded` numbers.
//   rows:    (count, row_stride)
//   batches: of rows of `stride` floats, with room for whole batches
// REQUIRES: where B > 1, first, padded and stride are multiples of 4.
template <size_t B>
void PlaceRows(const float* rows, size_t row_stride, size_t count, size_t n, size_t padded,
               size_t first, size_t t, float* batches, size_t stride) {
  if constexpr (B == 1) {
    for (size_t i = 0; i < count; ++i) {
      float* at = batches + (t + i) * stride + first;
      std::copy_n(rows + i * row_stride, n, at);
      std::fill(at + n, at + padded, 0.0f);
    }
  } else {
    // Input by input, so that what lies side by side is written together.
    const size_t chain_stride = stride / kDotChains * B;
    float* batch = batches + t / B * B * stride + first / kDotChains * B + t % B;
    for (size_t k = 0; k < padded; k += kDotChains, batch += B) {
      for (size_t c = 0; c < kDotChains; ++c) {
        float* at = batch + c * chain_stride;
        const float* from = rows + k + c;
        if (k + c >= n) {
          std::fill_n(at, count, 0.0f);
        } else if (count == B) {
          for (size_t i = 0; i < B; ++i) at[i] = from[i * row_stride];
        } else {
          for (size_t i = 0; i < count; ++i) at[i] = from[i * row_stride];
        }
      }
    }
  }
}

// Writes block `block` of row t of `batches`: 32 quants, their scale and their sums.
template <size_t B>
void PlaceBlock(const int8_t* quants, float scale, int32_t sum, int32_t half_sum, size_t block,
                size_t t, const QuantizedRows& batches) {
  constexpr size_t kQuad = 4;
  const size_t batch = t / B * B, i = t % B;
  int8_t* at = batches.quants + batch * batches.quant_stride + block * kQuantBlock * B + i * kQuad;
  for (size_t k = 0; k < kQuantBlock; k += kQuad) std::memcpy(at + k * B, quants + k, kQuad);
  const size_t number = batch * batches.block_stride + block * B + i;
  batches.scales[number] = scale;
  batches.sums[number] = sum;
  batches.half_sums[number] = half_sum;
}

}  // namespace tvl

#endif  // TVL_CORE_ACTIVATIONS_H_
