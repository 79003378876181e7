// Rows of f32 numbers into superblocks of integers with integer scales: q4k, q5k and q6k, GGUF's
// K-quants (models/TVL_FORMAT.md, "Tiles").
//
// As in models/quantize.h, scales and minima are searched for: those that leave the least sum of
// squared errors, counted with what is stored. The sum is never above that of the plain rules,
// which give each block the steps from its lowest number, or 0, to its highest, and the largest of
// scales and minima the integer 255 or, as GGUF does, 63 (q6k: the largest magnitude is a quant of
// -32, the largest scale -128). What a superblock stands for comes back exactly if each of its
// blocks has its lowest and its highest quant.
//
// No minimum is above 0, but for superblocks with a block of positive numbers only: there both f16
// numbers may be negative, so that quants count downwards from numbers above 0.
//
// A pure function of the numbers: the same bits from every compiler and CPU.
#ifndef TVL_MODELS_QUANTIZE_K_H_
#define TVL_MODELS_QUANTIZE_K_H_

#include <cstddef>
#include <cstdint>

#include "core/tile.h"

namespace tvl {

// What is stored of 256 numbers of a row in q4k, q5k or q6k, one number to a byte.
struct QuantizedSuperblock {
  uint8_t quants[kKSuperblock];  // 0 to 15 (q4k), 31 (q5k) or 63 (q6k, 32 standing for 0)
  uint8_t scales[16];            // q4k, q5k: u8 of the 8 blocks; q6k: i8, as bits, of the 16
  uint8_t minima[8];             // u8; 0 in q6k
  uint16_t scale;                // f16, finite: what the scales are multiplied by (ggml's d)
  uint16_t minimum;              // f16, finite: what the minima are (dmin); +0 in q6k
};

// x: `count` numbers, 0 to 256; the quants of the others are those of padding. Blocks wholly beyond
// count have scale and minimum 0. In a superblock with a number that cannot be stored
// (FindUnstorable) all weights become NaN. REQUIRES: IsKQuant(type).
QuantizedSuperblock QuantizeSuperblock(WeightType type, const float* x, size_t count);

}  // namespace tvl

#endif  // TVL_MODELS_QUANTIZE_K_H_
