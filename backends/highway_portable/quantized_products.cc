// Gemv and Gemm of q8, q4 and q4m, and the quantisation of activations. See core/kernel.h for what
// they compute.
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "backends/highway_portable/highway_portable.h"
#include "backends/highway_portable/quad_dot-inl.h"
#include "backends/highway_portable/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tvl::highway_portable {

// A quad of inputs to all lanes.
HWY_INLINE VI8 BroadcastQuad(const int8_t* x) {
  int32_t quad;
  std::memcpy(&quad, x, sizeof(quad));
  return hn::BitCast(di8, hn::Set(di32, quad));
}

// What the integer sum of a block starts from, so that offsets of the weights cost nothing.
template <WeightType W>
HWY_INLINE int32_t StartOf(int32_t sum) {
  return W == WeightType::kQ8 ? -kQ8Offset * sum : W == WeightType::kQ4 ? -8 * sum : 0;
}

// s[t][v] += the integer products of one line of quants, vector of rows v, with the inputs of
// kTokens rows from x on.
template <WeightType W, size_t kTokens>
HWY_INLINE void AddLine(const std::byte* line, const int8_t* x, size_t stride,
                        VI32 (&s)[kTokens][kVectors]) {
  for (size_t v = 0; v < kVectors; ++v) {
    const VI8 w = hn::Load(di8, reinterpret_cast<const int8_t*>(line) + v * kLanes * 4);
    if constexpr (W == WeightType::kQ8) {
      for (size_t t = 0; t < kTokens; ++t)
        s[t][v] = DotQ8(s[t][v], w, BroadcastQuad(x + t * stride));
    } else {
      const VI8 mask = hn::Set(di8, int8_t{0xf});
      const VI8 low = hn::And(w, mask);
      const hn::Repartition<uint16_t, D> du16;
      const VI8 high = hn::And(hn::BitCast(di8, hn::ShiftRight<4>(hn::BitCast(du16, w))), mask);
      for (size_t t = 0; t < kTokens; ++t)
        s[t][v] = DotQ4(s[t][v], low, BroadcastQuad(x + t * stride));
      for (size_t t = 0; t < kTokens; ++t)
        s[t][v] = DotQ4(s[t][v], high, BroadcastQuad(x + t * stride + 4));
    }
  }
}

// kTokens rows of x with one panel: every line is loaded once, in order.
template <WeightType W, size_t kTokens>
HWY_INLINE void PanelDots(const std::byte* panel, size_t padded_cols, const QuantizedRows& x,
                          size_t rows, float* HWY_RESTRICT y, size_t y_stride) {
  constexpr size_t kLineCols = W == WeightType::kQ8 ? 4 : 8;
  constexpr size_t kBlockLines = kQuantBlock / kLineCols;
  const hn::Rebind<hwy::float16_t, D> df16;
  V acc[kTokens][kVectors];
  for (size_t t = 0; t < kTokens; ++t) {
    for (size_t v = 0; v < kVectors; ++v) acc[t][v] = hn::Zero(d);
  }
  const std::byte* superblock = panel;
  for (size_t k = 0; k < padded_cols; k += kSuperblock) {
    PrefetchStream<SuperblockLines(W) * kLineBytes>(superblock);
    for (size_t b = 0; b < kSuperblock / kQuantBlock; ++b) {
      const size_t block = k / kQuantBlock + b;
      VI32 s[kTokens][kVectors];
      for (size_t t = 0; t < kTokens; ++t) {
        for (size_t v = 0; v < kVectors; ++v)
          s[t][v] = hn::Set(di32, StartOf<W>(x.sums[t * x.block_stride + block]));
      }
      for (size_t i = 0; i < kBlockLines; ++i) {
        AddLine<W>(superblock + (b * kBlockLines + i) * kLineBytes,
                   x.quants + block * kQuantBlock + i * kLineCols, x.quant_stride, s);
      }
      const hwy::float16_t* scales = reinterpret_cast<const hwy::float16_t*>(
                                         superblock + SuperblockQuantLines(W) * kLineBytes) +
                                     b * kPanelRows;
      for (size_t v = 0; v < kVectors; ++v) {
        const V scale = hn::PromoteTo(d, hn::Load(df16, scales + v * kLanes));
        for (size_t t = 0; t < kTokens; ++t) {
          const V x_scale = hn::Set(d, x.scales[t * x.block_stride + block]);
          acc[t][v] = hn::MulAdd(hn::ConvertTo(d, s[t][v]), hn::Mul(scale, x_scale), acc[t][v]);
          if constexpr (W == WeightType::kQ4M) {
            const V minimum =
                hn::PromoteTo(d, hn::Load(df16, scales + kLineBytes / 2 + v * kLanes));
            const V sum = hn::Set(d, static_cast<float>(x.sums[t * x.block_stride + block]));
            acc[t][v] = hn::MulAdd(sum, hn::Mul(minimum, x_scale), acc[t][v]);
          }
        }
      }
    }
    superblock += SuperblockLines(W) * kLineBytes;
  }
  for (size_t t = 0; t < kTokens; ++t) {
    for (size_t v = 0; v < kVectors; ++v) StoreRows(acc[t][v], v * kLanes, rows, y + t * y_stride);
  }
}

// Tokens that one pass over a panel serves: an integer and a float sum for each vector of rows.
inline constexpr size_t kQuantTokens = kVectors == 1 ? 8 : 2;

template <WeightType W, size_t kTokens = kQuantTokens>
HWY_INLINE void TailDots(const std::byte* panel, size_t padded_cols, const QuantizedRows& x,
                         size_t tokens, size_t rows, float* y, size_t y_stride) {
  if constexpr (kTokens > 0) {
    if (tokens != kTokens)
      return TailDots<W, kTokens - 1>(panel, padded_cols, x, tokens, rows, y, y_stride);
    PanelDots<W, kTokens>(panel, padded_cols, x, rows, y, y_stride);
  }
}

template <WeightType W>
HWY_INLINE void QuantizedGemv(const TileMatrix& w, PanelRange panels, const QuantizedRows& x,
                              float* y) {
  const size_t padded_cols = PaddedCols(W, w.cols);
  for (size_t p = panels.begin; p < panels.end; ++p)
    PanelDots<W, 1>(w.Panel(p), padded_cols, x, w.RowsOfPanel(p), y + p * kPanelRows, 0);
}

template <WeightType W>
HWY_INLINE void QuantizedGemm(const TileMatrix& w, PanelRange panels, const QuantizedRows& x,
                              size_t tokens, float* y, size_t y_stride) {
  const size_t padded_cols = PaddedCols(W, w.cols);
  for (size_t p = panels.begin; p < panels.end; ++p) {
    for (size_t t = 0; t < tokens; t += kQuantTokens) {
      TailDots<W>(w.Panel(p), padded_cols, x.From(t), std::min(kQuantTokens, tokens - t),
                  w.RowsOfPanel(p), y + t * y_stride + p * kPanelRows, y_stride);
    }
  }
}

// One whole block.
HWY_INLINE void QuantizeBlock(const float* x, int8_t* quants, float* scale, int32_t* sum) {
  constexpr size_t kBlockVectors = kQuantBlock / kLanes;
  const hn::Rebind<int8_t, D> out;
  VI32 m = hn::Zero(di32);
  for (size_t i = 0; i < kBlockVectors; ++i) {
    const VI32 bits = hn::BitCast(di32, hn::LoadU(d, x + i * kLanes));
    m = hn::Max(m, hn::And(bits, hn::Set(di32, 0x7fffffff)));
  }
  const uint32_t bits = static_cast<uint32_t>(hn::GetLane(hn::MaxOfLanes(di32, m)));
  if (bits >= kInfinityBits || bits < kTinyBits) {
    std::memset(quants, 0, kQuantBlock);
    *scale = bits < kTinyBits ? 0.0f : std::bit_cast<float>(kCanonicalNaN);
    *sum = 0;
    return;
  }
  const float a = std::bit_cast<float>(bits);
  *scale = a / 127.0f;
  const V inverse = hn::Set(d, 127.0f / a);
  VI32 total = hn::Zero(di32);
  for (size_t i = 0; i < kBlockVectors; ++i) {
    const VI32 q = hn::NearestInt(hn::Mul(hn::LoadU(d, x + i * kLanes), inverse));
    hn::StoreU(hn::DemoteTo(out, q), out, quants + i * kLanes);
    total = hn::Add(total, q);
  }
  *sum = hn::GetLane(hn::SumOfLanes(di32, total));
}

}  // namespace tvl::highway_portable

namespace tvl {

#define TVL_DEFINE(W)                                                                           \
  template <>                                                                                   \
  void HighwayPortable::Gemv<W>(const TileMatrix& w, PanelRange panels, const QuantizedRows& x, \
                                float* y) noexcept {                                            \
    highway_portable::QuantizedGemv<W>(w, panels, x, y);                                        \
  }                                                                                             \
  template <>                                                                                   \
  void HighwayPortable::Gemm<W>(const TileMatrix& w, PanelRange panels, const QuantizedRows& x, \
                                size_t tokens, float* y, size_t y_stride) noexcept {            \
    highway_portable::QuantizedGemm<W>(w, panels, x, tokens, y, y_stride);                      \
  }                                                                                             \
  static_assert(true)
TVL_DEFINE(WeightType::kQ8);
TVL_DEFINE(WeightType::kQ4);
TVL_DEFINE(WeightType::kQ4M);
#undef TVL_DEFINE

void HighwayPortable::QuantizeActivations(const float* x, size_t n,
                                          const QuantizedRows& out) noexcept {
  using highway_portable::QuantizeBlock;
  const size_t whole = n / kQuantBlock;
  for (size_t b = 0; b < whole; ++b) {
    QuantizeBlock(x + b * kQuantBlock, out.quants + b * kQuantBlock, out.scales + b, out.sums + b);
  }
  if (n % kQuantBlock == 0) return;
  float rest[kQuantBlock] = {};
  std::memcpy(rest, x + whole * kQuantBlock, n % kQuantBlock * sizeof(float));
  QuantizeBlock(rest, out.quants + whole * kQuantBlock, out.scales + whole, out.sums + whole);
}

}  // namespace tvl
HWY_AFTER_NAMESPACE();
