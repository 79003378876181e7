// Products of q8, q4 and q4m weights with one vector: the loops around the integer sums of a block.
//
// Modelled (tools/bench/cost_model), a superblock of 16 rows by 64 inputs takes a Neoverse N1 62
// cycles in q8, 93 in q4 and 109 in q4m, and a V1 36, 47 and 54: 6 to 18 and 12 to 30 bytes per
// cycle. All wait for the vector pipes but q8, which waits for the load pipes on V1: of the 187
// cycles of such a pipe that q4 takes on N1, 64 are SDOT, 64 take nibbles apart, and 32 are SCVTF
// and FCVTL, which take 2 each.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_QUANTIZED_PANELS_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_QUANTIZED_PANELS_H_

#include <arm_neon.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "backends/neon_handwritten/block_sums.h"
#include "backends/neon_handwritten/panel_sums.h"
#include "backends/neon_handwritten/unroll.h"
#include "backends/neon_handwritten/weight_stream.h"
#include "backends/neon_handwritten/wide_eight.h"
#include "core/activations.h"
#include "core/tensor_view.h"
#include "core/tile.h"

namespace tvl::neon {

template <WeightType W>
inline constexpr size_t kSuperblockBytes = SuperblockLines(W) * kLineBytes;

// Writes the first `rows` of a panel's dots.
[[gnu::always_inline]] inline void StoreRows(const float32x4_t (&dots)[kRowRegisters], size_t rows,
                                             float* y) {
  float all[kPanelRows];
  float* out = rows == kPanelRows ? y : all;
  Unroll<kRowRegisters>([&](auto r) __attribute__((always_inline)) {
    vst1q_f32(out + r * kLanes, dots[r]);
  });
  if (out == all) std::copy_n(all, rows, y);
}

// The dots of 16 rows with one vector, as far as they are summed, and that vector from there on.
template <WeightType W>
class VectorDots {
 public:
  [[gnu::always_inline]] explicit VectorDots(const QuantizedRows& x)
      : quants_(x.quants), scales_(x.scales), sums_(x.sums) {
    Unroll<kRowRegisters>([&](auto r)
                              __attribute__((always_inline)) { dots_[r] = vdupq_n_f32(0); });
  }

  // The next two blocks are those that the other functions see.
  [[gnu::always_inline]] void NextSuperblock() {
    scale_ = vld1_f32(scales_);
    if constexpr (W != WeightType::kQ8) sum_ = vld1_s32(sums_);
    block_quants_ = quants_;
    quants_ += kSuperblock;
    scales_ += kSuperblock / kQuantBlock;
    sums_ += kSuperblock / kQuantBlock;
  }

  template <size_t kBlock>
  [[gnu::always_inline]] BlockInputs<W> Inputs() const {
    return BlockInputs<W>(block_quants_ + kBlock * kQuantBlock);
  }

  // What the integer sums of a block start from.
  template <size_t kBlock>
  [[gnu::always_inline]] int32x4_t Start() const {
    if constexpr (W != WeightType::kQ4) return vdupq_n_s32(0);
    return vdupq_lane_s32(vmul_n_s32(sum_, -8), kBlock);
  }

  // Adds the integer sums of four rows of a block, with the rows' scales and (q4m) minima.
  template <size_t kBlock, size_t kRegister>
  [[gnu::always_inline]] void Add(int32x4_t sums, float32x4_t scale, float32x4_t minimum) {
    float32x4_t& dots = dots_[kRegister];
    dots = vfmaq_f32(dots, vcvtq_f32_s32(sums), vmulq_lane_f32(scale, scale_, kBlock));
    if constexpr (W == WeightType::kQ4M) {
      dots =
          vfmaq_lane_f32(dots, vmulq_lane_f32(minimum, scale_, kBlock), vcvt_f32_s32(sum_), kBlock);
    }
  }

  // As PanelSums::LoadAfter: once row registers kRegister and kRegister + 1 have been added to. The
  // inputs wait as well.
  template <size_t kRegister, typename T>
  [[gnu::always_inline]] void LoadAfter(const T*& p) {
    asm("" : "+r"(p), "+r"(block_quants_) : "w"(dots_[kRegister]), "w"(dots_[kRegister + 1]));
  }

  [[gnu::always_inline]] void Store(size_t rows, float* y) const { StoreRows(dots_, rows, y); }

 private:
  const int8_t* quants_;
  const float* scales_;
  const int32_t* sums_;
  const int8_t* block_quants_ = nullptr;
  float32x2_t scale_;  // of the two blocks
  int32x2_t sum_;
  float32x4_t dots_[kRowRegisters];
};

// Adds rows [8 * kHalf, 8 * kHalf + 8) of block kBlock of the superblock at `line` to the dots. x:
// the inputs of the block. Eight rows at once, because four are a chain of products that wait for
// each other, and 16 make gcc spill where there is no SDOT.
template <WeightType W, size_t kBlock, size_t kHalf>
[[gnu::always_inline]] inline void AddEightRows(const std::byte*& line, const BlockInputs<W>& x,
                                                VectorDots<W>& dots) {
  constexpr size_t kPairBytes = (W == WeightType::kQ8 ? 2 : 1) * kLineBytes;  // of 8 inputs
  constexpr size_t kPairs = kQuantBlock / 8;
  constexpr size_t kLow = 2 * kHalf, kHigh = 2 * kHalf + 1;  // row registers
  RowSums<W> low(dots.template Start<kBlock>());
  RowSums<W> high(dots.template Start<kBlock>());
  Unroll<kPairs>([&](auto pair) __attribute__((always_inline)) {
    const std::byte* at = line + (kBlock * kPairs + pair) * kPairBytes;
    const QuadPair w_low = LoadQuads<W>(at, kLow), w_high = LoadQuads<W>(at, kHigh);
    low.template Add<pair>(w_low, x);
    high.template Add<pair>(w_high, x);
  });
  constexpr size_t kRow = kLow * kLanes, kCol = kBlock * kQuantBlock;
  const WideEight scales(line, TileIndexScale(W, kRow, kCol));
  WideEight minima = scales;
  if constexpr (W == WeightType::kQ4M) minima = WideEight(line, TileIndexMinimum(kRow, kCol));
  dots.template Add<kBlock, kLow>(low.Sums(), scales.low, minima.low);
  dots.template Add<kBlock, kHigh>(high.Sums(), scales.high, minima.high);
  dots.template LoadAfter<kLow>(line);
}

// Adds the superblock at `line` to the dots, in four parts, each with its share of what is to be
// asked for ahead.
template <WeightType W>
[[gnu::always_inline]] inline void AddSuperblock(
    const std::byte*& line, typename WeightStream<kSuperblockBytes<W>>::Ahead ahead,
    VectorDots<W>& dots) {
  constexpr size_t kLines = SuperblockLines(W);
  dots.NextSuperblock();
  Unroll<kSuperblock / kQuantBlock>([&](auto block) __attribute__((always_inline)) {
    const BlockInputs<W> x = dots.template Inputs<block>();
    Unroll<2>([&](auto half) __attribute__((always_inline)) {
      constexpr size_t kPart = 2 * block + half;
      ahead.After(line);
      ahead.template Prefetch<kPart * kLines / 4, (kPart + 1) * kLines / 4>();
      AddEightRows<W, block, half>(line, x, dots);
    });
  });
}

// The dots of panel p.
template <WeightType W>
[[gnu::always_inline]] inline void PanelDots(const TileMatrix& w, PanelRange panels, size_t p,
                                             const QuantizedRows& x, float* y) {
  const size_t bytes = PanelBytes(W, w.cols);
  const WeightStream<kSuperblockBytes<W>> stream(w, panels, p, bytes);
  const std::byte* line = w.Panel(p);
  const std::byte* end = line + bytes;
  VectorDots<W> dots(x);
  for (; line != end; line += kSuperblockBytes<W>)
    AddSuperblock<W>(line, stream.AheadOf(line), dots);
  dots.Store(w.RowsOfPanel(p), y + p * kPanelRows);
}

template <WeightType W>
[[gnu::always_inline]] inline void QuantizedGemv(const TileMatrix& w, PanelRange panels,
                                                 const QuantizedRows& x, float* y) {
  for (size_t p = panels.begin; p < panels.end; ++p) PanelDots<W>(w, panels, p, x, y);
}

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_QUANTIZED_PANELS_H_
