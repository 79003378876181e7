// Products of q4k, q5k and q6k weights with one vector: the loops around the integer sums of a
// block.
//
// A round takes 32 inputs. What a superblock's head has is used throughout: its integers lie in L1
// since its lines were asked for, and so do its numbers, widened once to f32.
//
// Modelled (tools/bench/cost_model), the 8 rounds of a superblock of 16 rows by 256 inputs take a
// Neoverse N1 456 cycles in q4k, 616 in q5k and 620 in q6k, a V1 228, 309 and 310, and a Cortex-A72
// 804, 1048 and 1168: about 5, 10 and 3 bytes per cycle. All wait for the vector pipes. Of the 114
// cycles of such a pipe that a round of q4k takes on N1, 32 are SDOT, 32 take nibbles apart, and 40
// are scales and minima; q5k's fifth bits take 36 more, and q6k's upper two bits as many, beside
// its second scale.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_K_QUANT_PANELS_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_K_QUANT_PANELS_H_

#include <arm_neon.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "backends/neon_handwritten/block_sums.h"
#include "backends/neon_handwritten/k_quants.h"
#include "backends/neon_handwritten/panel_sums.h"
#include "backends/neon_handwritten/quantized_panels.h"
#include "backends/neon_handwritten/unroll.h"
#include "backends/neon_handwritten/weight_stream.h"
#include "backends/neon_handwritten/wide_eight.h"
#include "core/activations.h"
#include "core/tensor_view.h"
#include "core/tile.h"

namespace tvl::neon {

// Blocks of 32 inputs, or of q6k pairs of blocks.
template <WeightType W>
inline constexpr size_t kRoundBlocks = kQuantBlock / ScaleBlock(W);
template <WeightType W>
inline constexpr size_t kRoundLines = kRoundBlocks<W>* KBlockLines(W);

// What a round takes from memory beside weights and inputs: load pipes have time, and registers are
// few. In one place, so that one pointer does for all.
template <WeightType W>
class KConstants {
 public:
  [[gnu::always_inline]] KConstants() : bit_(kBitOfByte) { start_.fill(LaneStart<W>(kBiasBits)); }

  // Widens the numbers of a superblock. head: its first line.
  [[gnu::always_inline]] void WidenNumbers(const std::byte* head) {
    Unroll<kNumbers / 8>([&](auto i) __attribute__((always_inline)) {
      const WideEight eight(head, 8 * i);
      vst1q_f32(numbers_.data() + 8 * i, eight.low);
      vst1q_f32(numbers_.data() + 8 * i + kLanes, eight.high);
    });
  }

  // Those of four rows: of the scales and, from number 16 on, of the minima.
  template <size_t kFirst>
  [[gnu::always_inline]] float32x4_t Numbers() const {
    return vld1q_f32(numbers_.data() + kFirst);
  }
  // What the integer sums of row register kRegister start from. Not one for all, which would have
  // to be copied.
  template <size_t kRegister>
  [[gnu::always_inline]] int32x4_t Start() const {
    return vld1q_s32(start_.data() + kRegister * kLanes);
  }
  const uint8_t* bit() const { return bit_.data(); }

 private:
  static constexpr size_t kNumbers = kPanelRows * (HasMinima(W) ? 2 : 1);
  alignas(kLineBytes) std::array<float, kNumbers> numbers_;
  alignas(kLineBytes) std::array<int32_t, kPanelRows> start_;
  alignas(kLineBytes) std::array<uint8_t, kBitOfByte.size()> bit_;
};

// The dots of 16 rows with one vector, as far as they are summed, and what the round at hand adds
// to them.
template <WeightType W>
class KVectorDots {
 public:
  // constants: with the numbers of the superblock at hand.
  [[gnu::always_inline]] KVectorDots(const QuantizedRows& x, const KConstants<W>& constants)
      : x_(x), constants_(&constants), bias_(vdupq_n_f32(kBias)) {
    asm("" : "+w"(bias_));
    Unroll<kRowRegisters>([&](auto r)
                              __attribute__((always_inline)) { dots_[r] = vdupq_n_f32(0); });
  }

  // head: the superblock's first line.
  [[gnu::always_inline]] void NextSuperblock(const std::byte* head) { integers_ = head; }

  // The other functions are about the next 32 inputs from here on.
  [[gnu::always_inline]] void NextRound() {
    quants_ = x_.quants + block_ * kQuantBlock;
    // A number in a register, not one to be made anew where it is used; and in one, not in a second
    // one for its bits.
    asm("" : "+w"(bias_));
    scale_ = x_.scales[block_];
    const int32_t sum = x_.sums[block_];
    if constexpr (HasMinima(W)) minus_sum_ = static_cast<float>(-sum);
    if constexpr (W == WeightType::kQ4K) less_[0] = bias_;
    if constexpr (W == WeightType::kQ5K) less_[0] = BiasLess(sum);
    if constexpr (W == WeightType::kQ6K) {
      const int32_t half_sum = x_.half_sums[block_];
      less_[0] = BiasLess(half_sum);
      less_[1] = BiasLess(sum - half_sum);
    }
    ++block_;
  }

  template <size_t kBlock>
  [[gnu::always_inline]] BlockInputs<W> Inputs() const {
    return BlockInputs<W>(quants_ + kBlock * ScaleBlock(W));
  }
  [[gnu::always_inline]] void EndRound() { integers_ += kRoundIntegers; }

  const KConstants<W>& constants() const { return *constants_; }

  // Adds the integer sums of rows [8 * kHalf, 8 * kHalf + 8) of block kBlock of the round.
  template <size_t kBlock, size_t kHalf>
  [[gnu::always_inline]] void Add(int32x4_t low, int32x4_t high) {
    constexpr size_t kRow = kHalf * kPanelRows / 2, kCol = kBlock * ScaleBlock(W);
    float32x4_t& dots_low = dots_[2 * kHalf];
    float32x4_t& dots_high = dots_[2 * kHalf + 1];
    const WideEight scales = ScaleIntegers<W>(integers_, kRow, kCol, bias_);
    dots_low = vfmaq_f32(dots_low, vsubq_f32(vreinterpretq_f32_s32(low), less_[kBlock]),
                         Factor<kRow>(scales.low));
    dots_high = vfmaq_f32(dots_high, vsubq_f32(vreinterpretq_f32_s32(high), less_[kBlock]),
                          Factor<kRow + kLanes>(scales.high));
    if constexpr (HasMinima(W)) {
      const WideEight minima = MinimumIntegers<W>(integers_, kRow, kCol, bias_);
      dots_low = vfmaq_n_f32(dots_low, Factor<kPanelRows + kRow>(minima.low), minus_sum_);
      dots_high =
          vfmaq_n_f32(dots_high, Factor<kPanelRows + kRow + kLanes>(minima.high), minus_sum_);
    }
  }

  // As PanelSums::LoadAfter: once rows [8 * kHalf, 8 * kHalf + 8) have been added to. All else that
  // lies in memory waits as well.
  template <size_t kHalf, typename T>
  [[gnu::always_inline]] void LoadAfter(const T*& p) {
    asm(""
        : "+r"(p), "+r"(integers_), "+r"(quants_), "+r"(constants_)
        : "w"(dots_[2 * kHalf]), "w"(dots_[2 * kHalf + 1]));
  }

  [[gnu::always_inline]] void Store(size_t rows, float* y) const { StoreRows(dots_, rows, y); }

 private:
  static constexpr size_t kRoundIntegers = kPanelRows * kRoundBlocks<W> * (HasMinima(W) ? 2 : 1);

  // What a sum of quants, as the bits of a float, is to be less by: the bias, and what the sum
  // lacks of kQuantOffset times `inputs`, the sum of the inputs.
  [[gnu::always_inline]] static float32x4_t BiasLess(int32_t inputs) {
    int32_t less = kBiasBits - kQuantOffset<W> * inputs;
    asm("" : "+r"(less));  // gcc would compute it in a vector
    return vreinterpretq_f32_s32(vdupq_n_s32(less));
  }

  // The factors of four rows' sums: the integers, times the superblock's numbers from kNumber on,
  // which is exact, times the inputs' scale.
  template <size_t kNumber>
  [[gnu::always_inline]] float32x4_t Factor(float32x4_t integers) const {
    return vmulq_n_f32(vmulq_f32(constants_->template Numbers<kNumber>(), integers), scale_);
  }

  QuantizedRows x_;
  size_t block_ = 0;                     // that comes next
  const int8_t* quants_ = nullptr;       // of the round
  const std::byte* integers_ = nullptr;  // for the round's what the head is for the first one's
  const KConstants<W>* constants_;
  float scale_ = 0;
  float minus_sum_ = 0;
  float32x4_t bias_;
  float32x4_t less_[kRoundBlocks<W>];
  float32x4_t dots_[kRowRegisters];
};

// Adds rows [8 * kHalf, 8 * kHalf + 8) of block kBlock of the round at `line` to the dots.
template <WeightType W, size_t kBlock, size_t kHalf>
[[gnu::always_inline]] inline void AddEightKRows(const std::byte*& line, const BlockInputs<W>& x,
                                                 KVectorDots<W>& dots) {
  constexpr size_t kPairs = ScaleBlock(W) / 8;
  const std::byte* block = line + kBlock * KBlockLines(W) * kLineBytes;
  KQuads<W> quads_low(block, 2 * kHalf), quads_high(block, 2 * kHalf + 1);
  RowSums<W> low(dots.constants().template Start<2 * kHalf>());
  RowSums<W> high(dots.constants().template Start<2 * kHalf + 1>());
  const uint8_t* bit = dots.constants().bit();
  Unroll<kPairs>([&](auto pair) __attribute__((always_inline)) {
    low.template Add<pair>(quads_low.template Pair<pair>(block, bit), x);
    high.template Add<pair>(quads_high.template Pair<pair>(block, bit), x);
    // The other half of the quants waits: gcc would take all of them apart first, and spill.
    if constexpr (pair + 1 == kPairs / 2) {
      low.LoadAfter(block);
      high.LoadAfter(block);
      low.LoadAfter(bit);
      high.LoadAfter(bit);
    }
  });
  dots.template Add<kBlock, kHalf>(low.Sums(), high.Sums());
  dots.template LoadAfter<kHalf>(line);
}

// Adds the 32 inputs whose lines begin at `line` to the dots, in parts, each with its share of what
// is to be asked for ahead.
template <WeightType W>
[[gnu::always_inline]] inline void AddRound(
    const std::byte*& line, typename WeightStream<kSuperblockBytes<W>>::Ahead& ahead,
    KVectorDots<W>& dots) {
  constexpr size_t kParts = 2 * kRoundBlocks<W>, kLines = kRoundLines<W>;
  dots.NextRound();
  Unroll<kRoundBlocks<W>>([&](auto block) __attribute__((always_inline)) {
    const BlockInputs<W> x = dots.template Inputs<block>();
    Unroll<2>([&](auto half) __attribute__((always_inline)) {
      constexpr size_t kPart = 2 * block + half;
      ahead.After(line);
      ahead.template Prefetch<kPart * kLines / kParts, (kPart + 1) * kLines / kParts>();
      AddEightKRows<W, block, half>(line, x, dots);
    });
  });
  ahead.template Skip<kLines>();
  dots.EndRound();
  line += kLines * kLineBytes;
}

// The dots of panel p.
template <WeightType W>
[[gnu::always_inline]] inline void KPanelDots(const TileMatrix& w, PanelRange panels, size_t p,
                                              const QuantizedRows& x, KConstants<W>& constants,
                                              float* y) {
  const size_t bytes = PanelBytes(W, w.cols);
  const WeightStream<kSuperblockBytes<W>> stream(w, panels, p, bytes);
  const std::byte* line = w.Panel(p);
  const std::byte* end = line + bytes;
  KVectorDots<W> dots(x, constants);
  while (line != end) {
    auto ahead = stream.AheadOf(line);
    ahead.template Prefetch<0, kKHeadLines>();
    ahead.template Skip<kKHeadLines>();
    constants.WidenNumbers(line);
    dots.NextSuperblock(line);
    const std::byte* next = line + kSuperblockBytes<W>;
    for (line += kKHeadLines * kLineBytes; line != next;) AddRound<W>(line, ahead, dots);
  }
  dots.Store(w.RowsOfPanel(p), y + p * kPanelRows);
}

template <WeightType W>
[[gnu::always_inline]] inline void KQuantGemv(const TileMatrix& w, PanelRange panels,
                                              const QuantizedRows& x, float* y) {
  KConstants<W> constants;
  for (size_t p = panels.begin; p < panels.end; ++p) KPanelDots<W>(w, panels, p, x, constants, y);
}

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_K_QUANT_PANELS_H_
