// Products with q8, q4 and q4m weights: the loops around the integer sums of a block.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_QUANTIZED_PANELS_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_QUANTIZED_PANELS_H_

#include <arm_neon.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "backends/neon_handwritten/block_sums.h"
#include "backends/neon_handwritten/gemm_block.h"
#include "backends/neon_handwritten/panel_sums.h"
#include "backends/neon_handwritten/unroll.h"
#include "backends/neon_handwritten/weight_stream.h"
#include "core/activations.h"
#include "core/tensor_view.h"
#include "core/tile.h"

namespace tvl::neon {

template <WeightType W>
inline constexpr size_t kSuperblockBytes = SuperblockLines(W) * kLineBytes;

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
  [[gnu::always_inline]] BlockInputs Inputs() const {
    return BlockInputs(block_quants_ + kBlock * kQuantBlock);
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

  // As PanelSums::LoadAfter, of row register kRegister; the inputs wait as well.
  template <size_t kRegister, typename T>
  [[gnu::always_inline]] void LoadAfter(const T*& p) {
    asm("" : "+r"(p), "+r"(block_quants_) : "w"(dots_[kRegister]));
  }

  // Writes the first `rows`.
  [[gnu::always_inline]] void Store(size_t rows, float* y) const {
    float all[kPanelRows];
    float* out = rows == kPanelRows ? y : all;
    Unroll<kRowRegisters>([&](auto r) __attribute__((always_inline)) {
      vst1q_f32(out + r * kLanes, dots_[r]);
    });
    if (out == all) std::copy_n(all, rows, y);
  }

 private:
  const int8_t* quants_;
  const float* scales_;
  const int32_t* sums_;
  const int8_t* block_quants_;
  float32x2_t scale_;  // of the two blocks
  int32x2_t sum_;
  float32x4_t dots_[kRowRegisters];
};

// Four f16 numbers of a line, widened.
[[gnu::always_inline]] inline float32x4_t LoadHalves(const std::byte* line, size_t index) {
  return vcvt_f32_f16(vld1_f16(reinterpret_cast<const float16_t*>(line) + index));
}

// Adds block kBlock of the superblock at `line` to the dots of every vector.
template <WeightType W, size_t kBlock, size_t kTokens>
[[gnu::always_inline]] inline void AddBlock(const std::byte*& line,
                                            VectorDots<W> (&vectors)[kTokens]) {
  constexpr size_t kPairBytes = (W == WeightType::kQ8 ? 2 : 1) * kLineBytes;  // of 8 inputs
  constexpr size_t kPairs = kQuantBlock / 8;
  [&]<size_t... T>(std::index_sequence<T...>) __attribute__((always_inline)) {
    const BlockInputs x[] = {vectors[T].template Inputs<kBlock>()...};
    Unroll<kRowRegisters>([&](auto r) __attribute__((always_inline)) {
      RowSums<W> sums[] = {RowSums<W>(vectors[T].template Start<kBlock>())...};
      Unroll<kPairs>([&](auto pair) __attribute__((always_inline)) {
        const QuadPair w = LoadQuads<W>(line + (kBlock * kPairs + pair) * kPairBytes, r);
        (sums[T].template Add<pair>(w, x[T]), ...);
      });
      constexpr size_t kScale = TileIndexScale(W, r * kLanes, kBlock * kQuantBlock);
      const float32x4_t scale = LoadHalves(line, kScale);
      float32x4_t minimum = scale;
      if constexpr (W == WeightType::kQ4M)
        minimum = LoadHalves(line, TileIndexMinimum(r * kLanes, kBlock * kQuantBlock));
      (vectors[T].template Add<kBlock, r>(sums[T].Sums(), scale, minimum), ...);
      (vectors[T].template LoadAfter<r>(line), ...);
    });
  }
  (std::make_index_sequence<kTokens>{});
}

// Panel p with as many rows of x.
template <WeightType W, size_t... T>
[[gnu::always_inline]] inline void PanelDots(const TileMatrix& w, PanelRange panels, size_t p,
                                             const QuantizedRows& x, float* y, size_t y_stride,
                                             std::index_sequence<T...>) {
  const size_t bytes = PanelBytes(W, w.cols);
  const WeightStream<kSuperblockBytes<W>> stream(w, panels, p, bytes);
  const std::byte* line = w.Panel(p);
  const std::byte* end = line + bytes;
  VectorDots<W> vectors[] = {VectorDots<W>(x.From(T))...};
  for (; line != end; line += kSuperblockBytes<W>) {
    stream.Advance(line);
    (vectors[T].NextSuperblock(), ...);
    AddBlock<W, 0>(line, vectors);
    AddBlock<W, 1>(line, vectors);
  }
  (vectors[T].Store(w.RowsOfPanel(p), y + T * y_stride + p * kPanelRows), ...);
}

template <WeightType W>
[[gnu::always_inline]] inline void QuantizedGemv(const TileMatrix& w, PanelRange panels,
                                                 const QuantizedRows& x, float* y) {
  for (size_t p = panels.begin; p < panels.end; ++p)
    PanelDots<W>(w, panels, p, x, y, 0, std::index_sequence<0>{});
}

// Panel p with `tokens` rows of x, 1 to kTokens.
template <WeightType W, size_t kTokens>
[[gnu::always_inline]] inline void PanelPass(const TileMatrix& w, PanelRange panels, size_t p,
                                             const QuantizedRows& x, size_t tokens, float* y,
                                             size_t y_stride) {
  if constexpr (kTokens > 1) {
    if (tokens < kTokens) return PanelPass<W, kTokens - 1>(w, panels, p, x, tokens, y, y_stride);
  }
  PanelDots<W>(w, panels, p, x, y, y_stride, std::make_index_sequence<kTokens>{});
}

// A panel comes from DRAM once; its further passes find it in L1 or L2.
template <WeightType W>
[[gnu::always_inline]] inline void QuantizedGemm(const TileMatrix& w, PanelRange panels,
                                                 const QuantizedRows& x, size_t tokens, float* y,
                                                 size_t y_stride) {
  for (size_t p = panels.begin; p < panels.end; ++p) {
    SplitEvenly(
        tokens, kPassVectors, [&](size_t t, size_t size) __attribute__((always_inline)) {
          PanelPass<W, kPassVectors>(w, panels, p, x.From(t), size, y + t * y_stride, y_stride);
        });
  }
}

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_QUANTIZED_PANELS_H_
