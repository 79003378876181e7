// Weights made ready for the passes of quantized_gemm.cc.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_READY_WEIGHTS_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_READY_WEIGHTS_H_

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "backends/neon_handwritten/block_sums.h"
#include "backends/neon_handwritten/k_quants.h"
#include "backends/neon_handwritten/panel_sums.h"
#include "backends/neon_handwritten/quantized_panels.h"
#include "backends/neon_handwritten/quantized_steps.h"
#include "backends/neon_handwritten/unroll.h"
#include "backends/neon_handwritten/wide_eight.h"
#include "core/tile.h"

namespace tvl::neon {

#ifdef __ARM_FEATURE_DOTPROD

// What a pass takes at a time, whatever the type: a superblock of q8, q4 and q4m, and a quarter of
// one of q4k, q5k and q6k.
inline constexpr size_t kSpan = kSuperblock;
inline constexpr size_t kChunkInputs = 8 * kSpan;

template <WeightType W>
inline constexpr size_t kChunkSuperblocks = kChunkInputs / SuperblockCols(W);
static_assert(kChunkInputs % kKSuperblock == 0);

// A chunk of weights as passes take it.
struct Chunk {
  // Spans of 64 / kStepInputs steps, which are all rows' registers, kHalves * kRowParts.
  const int8_t* quants;
  size_t span_bytes;  // from one's quants to the next one's
  // (spans, kHalves, 1 or 2, kSpan / ScaleBlock, kRowParts, 4): scales, and minima where there are
  // any.
  const float* factors;
  size_t spans;
};

// A chunk of weights made ready for passes: quants apart and, for SMMLA, in pairs of rows by 8
// inputs; scales and minima widened, each for every number of a sum's register. The quants of q8
// are taken by SDOT as they are.
template <WeightType W>
class ReadyWeights {
 public:
  static constexpr bool kInPlace = W == WeightType::kQ8 && kStepInputs == 4;

  // superblock: the first one's first line.
  Chunk Make(const std::byte* superblock, size_t superblocks) {
    const std::byte* first = superblock;
    float* factors = factors_;
    for (size_t i = 0; i < superblocks; ++i, superblock += kSuperblockBytes<W>) {
      if constexpr (!kInPlace) MakeQuants(superblock, quants_ + i * kQuants);
      for (size_t k = 0; k < SuperblockCols(W); k += kSpan)
        factors = MakeFactors(superblock, k, factors);
    }
    const size_t spans = superblocks * (SuperblockCols(W) / kSpan);
    if constexpr (kInPlace) {
      return {reinterpret_cast<const int8_t*>(first), kSuperblockBytes<W>, factors_, spans};
    } else {
      return {quants_, kSpan * kPanelRows, factors_, spans};
    }
  }

 private:
  static constexpr size_t kQuants = SuperblockCols(W) * kPanelRows;
  static constexpr size_t kSpanFactors =
      kHalves * (kSpan / ScaleBlock(W)) * kRowParts * kLanes * (HasMinima(W) ? 2 : 1);

  static void MakeQuants(const std::byte* line, int8_t* out) {
    if constexpr (IsKQuant(W)) {
      constexpr size_t kBlock = ScaleBlock(W);
      line += kKHeadLines * kLineBytes;
      for (size_t k = 0; k < kKSuperblock; k += kBlock, line += KBlockLines(W) * kLineBytes) {
        Unroll<kRowRegisters>([&](auto r) __attribute__((always_inline)) {
          KQuads<W> quads(line, r);
          Unroll<kBlock / 8>([&](auto pair) __attribute__((always_inline)) {
            StorePair(quads.template Pair<pair>(line, kBitOfByte.data()), kQuantOffset<W>, r,
                      out + pair * kPairQuants);
          });
        });
        out += kBlock * kPanelRows;
      }
    } else {
      constexpr size_t kPairBytes = (W == WeightType::kQ8 ? 2 : 1) * kLineBytes;
      for (size_t k = 0; k < kSuperblock; k += 8, line += kPairBytes, out += kPairQuants) {
        Unroll<kRowRegisters>([&](auto r) __attribute__((always_inline)) {
          StorePair(LoadQuads<W>(line, r), W == WeightType::kQ4 ? -8 : 0, r, out);
        });
      }
    }
  }

  // Row register r of 8 inputs. offset: what is to be added to every quant.
  [[gnu::always_inline]] static void StorePair(QuadPair pair, int8_t offset, size_t r,
                                               int8_t* out) {
    if (offset != 0) {
      pair = {vaddq_s8(pair.even, vdupq_n_s8(offset)), vaddq_s8(pair.odd, vdupq_n_s8(offset))};
    }
    if constexpr (kStepInputs == 4) {
      vst1q_s8(out + r * kRegisterBytes, pair.even);
      vst1q_s8(out + kLineBytes + r * kRegisterBytes, pair.odd);
    } else {
      const int32x4_t even = vreinterpretq_s32_s8(pair.even);
      const int32x4_t odd = vreinterpretq_s32_s8(pair.odd);
      int8_t* rows = out + 2 * r * kRegisterBytes;
      vst1q_s8(rows, vreinterpretq_s8_s32(vzip1q_s32(even, odd)));
      vst1q_s8(rows + kRegisterBytes, vreinterpretq_s8_s32(vzip2q_s32(even, odd)));
    }
  }

  // Of the span that begins at input k of a superblock. Returns where the next one's factors begin.
  static float* MakeFactors(const std::byte* superblock, size_t k, float* out) {
    for (size_t row = 0; row < kPanelRows; row += kPanelRows / kHalves) {
      for (size_t i = k; i < k + kSpan; i += ScaleBlock(W)) {
        const WideEight scales = Scales(superblock, row, i);
        out = StoreFactors(scales.low, scales.high, out);
      }
      if constexpr (HasMinima(W)) {
        for (size_t i = k; i < k + kSpan; i += ScaleBlock(W)) {
          const WideEight minima = Minima(superblock, row, i);
          out = StoreFactors(minima.low, minima.high, out);
        }
      }
    }
    return out;
  }

  // PanelScale and PanelMinimum of eight rows.
  static WideEight Scales(const std::byte* superblock, size_t row, size_t k) {
    if constexpr (IsKQuant(W)) {
      const WideEight numbers(superblock, TileIndexKScale(W, row, 0));
      return numbers.Times(ScaleIntegers<W>(superblock, row, k, vdupq_n_f32(kBias)));
    } else {
      return WideEight(superblock, TileIndexScale(W, row, k));
    }
  }
  static WideEight Minima(const std::byte* superblock, size_t row, size_t k) {
    if constexpr (IsKQuant(W)) {
      const WideEight numbers(superblock, TileIndexKMinimum(W, row, 0));
      // By the other bias with the other sign.
      return numbers.Times(MinimumIntegers<W>(superblock, row, k, vdupq_n_f32(-kBias)));
    } else {
      return WideEight(superblock, TileIndexMinimum(row, k));
    }
  }

  // The factors of eight rows.
  static float* StoreFactors(float32x4_t low, float32x4_t high, float* out) {
    for (const float32x4_t four : {low, high}) {
      if constexpr (kRowParts == kHalfRegisters) {
        vst1q_f32(out, four);
        out += kLanes;
      } else {
        vst1q_f32(out, vzip1q_f32(four, four));
        vst1q_f32(out + kLanes, vzip2q_f32(four, four));
        out += 2 * kLanes;
      }
    }
    return out;
  }

  static constexpr size_t kPairQuants = 8 * kPanelRows;

  alignas(kLineBytes) int8_t quants_[kInPlace ? 1 : kChunkInputs * kPanelRows];
  alignas(kLineBytes) float factors_[kChunkInputs / kSpan * kSpanFactors];
};

#endif  // __ARM_FEATURE_DOTPROD

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_READY_WEIGHTS_H_
