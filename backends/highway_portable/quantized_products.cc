// Gemv and Gemm of q8, q4 and q4m, and the quantisation of activations. See core/kernel.h for what
// they compute.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "backends/highway_portable/highway_portable.h"
#include "backends/highway_portable/quad_dot-inl.h"
#include "backends/highway_portable/quantized_passes-inl.h"
#include "backends/highway_portable/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tvl::highway_portable {

// The integer sum of a block starts from so many times the sum of its inputs, so that offsets of
// the weights cost nothing.
template <WeightType W>
inline constexpr int32_t kStart = W == WeightType::kQ8   ? -kQ8Offset
                                  : W == WeightType::kQ4 ? -8
                                                         : 0;

// kTokens rows of x, of a batch of kB, with kPanels panels. Every line is loaded once, in order.
template <WeightType W, size_t kPanels, size_t kTokens, size_t kB>
class BatchDots {
 public:
  // x: the batch.
  HWY_INLINE explicit BatchDots(const QuantizedRows& x)
      : quants_(x.quants), scales_(x.scales), sums_(x.sums) {}

  HWY_INLINE void Add(const std::byte* const (&panel)[kPanels], size_t padded_cols, bool ahead) {
    const std::byte* superblock[kPanels];
    for (size_t p = 0; p < kPanels; ++p) superblock[p] = panel[p];
    for (size_t k = 0; k < padded_cols; k += kSuperblock) {
      if (ahead) {
        for (size_t p = 0; p < kPanels; ++p)
          PrefetchStream<SuperblockLines(W) * kLineBytes>(superblock[p]);
      }
      for (size_t b = 0; b < kSuperblock / kQuantBlock; ++b) AddBlock(superblock, b);
      for (size_t p = 0; p < kPanels; ++p) superblock[p] += SuperblockLines(W) * kLineBytes;
    }
  }

  HWY_INLINE const PassDots<kPanels, kTokens>& dots() const { return dots_; }

 private:
  using Sums = VI32[kPanels][kTokens][kVectors];

  HWY_INLINE void AddBlock(const std::byte* const (&superblock)[kPanels], size_t b) {
    constexpr size_t kLineCols = W == WeightType::kQ8 ? 4 : 8;
    constexpr size_t kBlockLines = kQuantBlock / kLineCols;
    VI32 s[kPanels][kTokens][kVectors];
    for (size_t t = 0; t < kTokens; ++t) {
      const VI32 start = kStart<W> == 0 ? hn::Zero(di32) : hn::Set(di32, kStart<W> * sums_[t]);
      for (size_t p = 0; p < kPanels; ++p) {
        for (size_t v = 0; v < kVectors; ++v) s[p][t][v] = start;
      }
    }
    for (size_t i = 0; i < kBlockLines; ++i) {
      AddLine(superblock, (b * kBlockLines + i) * kLineBytes, s);
      quants_ += kLineCols * kB;
    }
    const hn::Rebind<hwy::float16_t, D> df16;
    V x_scale[kTokens], x_sum[kTokens];
    for (size_t t = 0; t < kTokens; ++t) {
      x_scale[t] = hn::Set(d, scales_[t]);
      if constexpr (W == WeightType::kQ4M) x_sum[t] = hn::ConvertTo(d, hn::Set(di32, sums_[t]));
    }
    for (size_t p = 0; p < kPanels; ++p) {
      const hwy::float16_t* scales = reinterpret_cast<const hwy::float16_t*>(
                                         superblock[p] + SuperblockQuantLines(W) * kLineBytes) +
                                     b * kPanelRows;
      for (size_t v = 0; v < kVectors; ++v) {
        const V scale = hn::PromoteTo(d, hn::Load(df16, scales + v * kLanes));
        for (size_t t = 0; t < kTokens; ++t) {
          V& acc = dots_.acc[p][t][v];
          acc = hn::MulAdd(hn::ConvertTo(d, s[p][t][v]), hn::Mul(scale, x_scale[t]), acc);
          if constexpr (W == WeightType::kQ4M) {
            const V minimum =
                hn::PromoteTo(d, hn::Load(df16, scales + kLineBytes / 2 + v * kLanes));
            acc = hn::MulAdd(x_sum[t], hn::Mul(minimum, x_scale[t]), acc);
          }
        }
      }
    }
    scales_ += kB;
    sums_ += kB;
  }

  // Adds the integer products of one line of quants of each panel.
  HWY_INLINE void AddLine(const std::byte* const (&superblock)[kPanels], size_t offset,
                          Sums& s) const {
    constexpr size_t kQuad = 4;
    VI8 w[kPanels][kVectors];
    for (size_t p = 0; p < kPanels; ++p) {
      const int8_t* line = reinterpret_cast<const int8_t*>(superblock[p] + offset);
      for (size_t v = 0; v < kVectors; ++v) w[p][v] = hn::Load(di8, line + v * kLanes * kQuad);
    }
    if constexpr (W == WeightType::kQ8) {
      for (size_t t = 0; t < kTokens; ++t) {
        const VI8 x = BroadcastQuad(quants_ + t * kQuad);
        for (size_t p = 0; p < kPanels; ++p) {
          for (size_t v = 0; v < kVectors; ++v) s[p][t][v] = DotQ8(s[p][t][v], w[p][v], x);
        }
      }
    } else {
      const VI8 mask = hn::Set(di8, int8_t{0xf});
      const hn::Repartition<uint16_t, D> du16;
      VI8 low[kPanels][kVectors], high[kPanels][kVectors];
      for (size_t p = 0; p < kPanels; ++p) {
        for (size_t v = 0; v < kVectors; ++v) {
          low[p][v] = hn::And(w[p][v], mask);
          high[p][v] =
              hn::And(hn::BitCast(di8, hn::ShiftRight<4>(hn::BitCast(du16, w[p][v]))), mask);
        }
      }
      for (size_t t = 0; t < kTokens; ++t) {
        const VI8 x = BroadcastQuad(quants_ + t * kQuad);
        for (size_t p = 0; p < kPanels; ++p) {
          for (size_t v = 0; v < kVectors; ++v) s[p][t][v] = DotQ4(s[p][t][v], low[p][v], x);
        }
      }
      for (size_t t = 0; t < kTokens; ++t) {
        const VI8 x = BroadcastQuad(quants_ + (kB + t) * kQuad);
        for (size_t p = 0; p < kPanels; ++p) {
          for (size_t v = 0; v < kVectors; ++v) s[p][t][v] = DotQ4(s[p][t][v], high[p][v], x);
        }
      }
    }
  }

  const int8_t* HWY_RESTRICT quants_;
  const float* HWY_RESTRICT scales_;
  const int32_t* HWY_RESTRICT sums_;
  PassDots<kPanels, kTokens> dots_;
};

// One whole block.
HWY_INLINE void QuantizeBlock(const float* x, int8_t* quants, float* scale, int32_t* sum,
                              int32_t* half_sum) {
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
    *sum = *half_sum = 0;
    return;
  }
  const float a = std::bit_cast<float>(bits);
  *scale = a / 127.0f;
  const V inverse = hn::Set(d, 127.0f / a);
  VI32 half[2] = {hn::Zero(di32), hn::Zero(di32)};
  for (size_t i = 0; i < kBlockVectors; ++i) {
    const VI32 q = hn::NearestInt(hn::Mul(hn::LoadU(d, x + i * kLanes), inverse));
    hn::StoreU(hn::DemoteTo(out, q), out, quants + i * kLanes);
    VI32& to = half[i / (kBlockVectors / 2)];
    to = hn::Add(to, q);
  }
  *half_sum = hn::GetLane(hn::SumOfLanes(di32, half[0]));
  *sum = *half_sum + hn::GetLane(hn::SumOfLanes(di32, half[1]));
}

}  // namespace tvl::highway_portable

namespace tvl {

TVL_DEFINE_QUANTIZED(BatchDots, WeightType::kQ8);
TVL_DEFINE_QUANTIZED(BatchDots, WeightType::kQ4);
TVL_DEFINE_QUANTIZED(BatchDots, WeightType::kQ4M);

void HighwayPortable::QuantizeActivations(const float* x, size_t n,
                                          const QuantizedRows& out) noexcept {
  using highway_portable::QuantizeBlock;
  const size_t whole = n / kQuantBlock;
  for (size_t b = 0; b < whole; ++b) {
    QuantizeBlock(x + b * kQuantBlock, out.quants + b * kQuantBlock, out.scales + b, out.sums + b,
                  out.half_sums + b);
  }
  if (n % kQuantBlock == 0) return;
  float rest[kQuantBlock] = {};
  std::memcpy(rest, x + whole * kQuantBlock, n % kQuantBlock * sizeof(float));
  QuantizeBlock(rest, out.quants + whole * kQuantBlock, out.scales + whole, out.sums + whole,
                out.half_sums + whole);
}

}  // namespace tvl
HWY_AFTER_NAMESPACE();
