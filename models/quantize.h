// Rows of f32 numbers into blocks of integers: q8, q4 and q4m (models/TVL_FORMAT.md, "Tiles").
//
// A block's scale, and q4m's minimum, are searched for: those that leave the least sum of squared
// errors, counted with what is stored, f16. The sum is never above that of the plain rules, which
// make the largest magnitude a quant of 127 (q8) or -8 (q4), and the lowest and the highest number
// the quants 0 and 15 (q4m); a block that a plain rule stores exactly is stored so. All numbers
// count alike: weighting their errors by the gains of the norm in front, by what the weights before
// say of an input's size, or by magnitude changed no perplexity beyond its error.
//
// A pure function of the numbers: the same bits from every compiler and CPU.
#ifndef TVL_MODELS_QUANTIZE_H_
#define TVL_MODELS_QUANTIZE_H_

#include <cstddef>
#include <cstdint>

#include "core/tile.h"

namespace tvl {

// What is stored of 32 numbers of a row.
struct QuantizedBlock {
  int8_t quants[kQuantBlock];  // q8: -127 to 127; q4, q4m: 0 to 15
  uint16_t scale;              // f16, finite; may be negative in q4
  uint16_t minimum;            // f16, finite; +0 unless q4m
};

// The largest magnitude that a block of the type can store: that of f16 times that of a quant, but
// of q4m, q4k, q5k and q6k that of f16. (Of the K-quants it could be more; up to this what their
// integers are multiplied by is always finite in f16.)
constexpr float LargestWeight(WeightType type) {
  constexpr float kLargestF16 = 65504.0f;
  if (type == WeightType::kQ8) return 127 * kLargestF16;
  if (type == WeightType::kQ4) return 8 * kLargestF16;
  return kLargestF16;
}

// Index of the first number that cannot be stored, because it is not finite or above LargestWeight;
// cols if there is none.
size_t FindUnstorable(WeightType type, const float* row, size_t cols);

// x: `count` numbers, 0 to 32; the quants of the others are those of padding. In a block with a
// number that cannot be stored all weights become NaN. REQUIRES: the type is q8, q4 or
// q4m. models/quantize_k.h has the K-quants.
QuantizedBlock QuantizeBlock(WeightType type, const float* x, size_t count);

}  // namespace tvl

#endif  // TVL_MODELS_QUANTIZE_H_
