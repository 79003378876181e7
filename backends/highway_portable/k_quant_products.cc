// Gemv and Gemm of q4k, q5k and q6k. See core/kernel.h for what they compute, and core/tile.h for
// the superblock: a head of scales, then blocks.
#include <cstddef>
#include <cstdint>

#include "backends/highway_portable/highway_portable.h"
#include "backends/highway_portable/quad_dot-inl.h"
#include "backends/highway_portable/quantized_passes-inl.h"
#include "backends/highway_portable/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tvl::highway_portable {

using DU16 = hn::Repartition<uint16_t, D>;
inline constexpr DU16 du16;

// The bits of `mask`, bits 4 and 5 at most, of every byte of `bits`, once these are moved up by 4
// and down by kDown. Shifts go by 16 bits; what they carry from one byte into the other comes to
// lie outside of the mask.
template <size_t kDown>
HWY_INLINE VI8 MovedBits(VI8 bits) {
  const hn::Vec<DU16> pairs = hn::BitCast(du16, bits);
  if constexpr (kDown < 4) {
    return hn::BitCast(di8, hn::ShiftLeft<4 - kDown>(pairs));
  } else {
    return hn::BitCast(di8, hn::ShiftRight<kDown - 4>(pairs));
  }
}

// kTokens rows of x, of a batch of kB, with kPanels panels. Every line is loaded once, in order.
template <WeightType W, size_t kPanels, size_t kTokens, size_t kB>
class KBatchDots {
 public:
  // x: the batch.
  HWY_INLINE explicit KBatchDots(const QuantizedRows& x)
      : quants_(x.quants), scales_(x.scales), sums_(x.sums), half_sums_(x.half_sums) {}

  HWY_INLINE void Add(const std::byte* const (&panel)[kPanels], size_t padded_cols, bool ahead) {
    const std::byte* superblock[kPanels];
    for (size_t p = 0; p < kPanels; ++p) superblock[p] = panel[p];
    for (size_t k = 0; k < padded_cols; k += kKSuperblock) {
      if (ahead) PrefetchLines<kKHeadLines>(superblock, 0);
      for (size_t j = 0; j < kKSuperblock / kQuantBlock; ++j) {
        constexpr size_t kLines = kParts * KBlockLines(W);
        if (ahead) PrefetchLines<kLines>(superblock, (kKHeadLines + j * kLines) * kLineBytes);
        AddBlock(superblock, j);
      }
      for (size_t p = 0; p < kPanels; ++p) superblock[p] += SuperblockLines(W) * kLineBytes;
    }
  }

  HWY_INLINE const PassDots<kPanels, kTokens>& dots() const { return dots_; }

 private:
  // Blocks of the weights in one of the inputs, which is 32 long.
  static constexpr size_t kParts = kQuantBlock / ScaleBlock(W);
  static constexpr size_t kQuad = 4;
  using Sums = VI32[kPanels][kTokens][kVectors];

  template <size_t kLines>
  static HWY_INLINE void PrefetchLines(const std::byte* const (&superblock)[kPanels],
                                       size_t offset) {
    for (size_t p = 0; p < kPanels; ++p)
      PrefetchStream<kLines * kLineBytes>(superblock[p] + offset);
  }

  // The products with block j of the inputs of the superblock.
  HWY_INLINE void AddBlock(const std::byte* const (&superblock)[kPanels], size_t j) {
    V x_scale[kTokens], x_sum[kTokens];
    for (size_t t = 0; t < kTokens; ++t) {
      x_scale[t] = hn::Set(d, scales_[t]);
      if constexpr (HasMinima(W)) x_sum[t] = hn::ConvertTo(d, hn::Set(di32, sums_[t]));
    }
    for (size_t part = 0; part < kParts; ++part) {
      const size_t block = j * kParts + part;
      Sums s;
      for (size_t t = 0; t < kTokens; ++t) {
        // 32 times the sum of the inputs off takes back the 32 that is in every quant of q6k.
        VI32 start = hn::Zero(di32);
        if constexpr (W == WeightType::kQ6K) {
          const int32_t sum = part == 0 ? half_sums_[t] : sums_[t] - half_sums_[t];
          start = hn::Set(di32, -32 * sum);
        }
        for (size_t p = 0; p < kPanels; ++p) {
          for (size_t v = 0; v < kVectors; ++v) s[p][t][v] = start;
        }
      }
      AddQuants(superblock, (kKHeadLines + block * KBlockLines(W)) * kLineBytes, s);
      for (size_t p = 0; p < kPanels; ++p) {
        for (size_t v = 0; v < kVectors; ++v) {
          const V scale = hn::Mul(Shared(superblock[p], 0, v), Integers(superblock[p], block, v));
          for (size_t t = 0; t < kTokens; ++t) {
            V& acc = dots_.acc[p][t][v];
            acc = hn::MulAdd(hn::ConvertTo(d, s[p][t][v]), hn::Mul(scale, x_scale[t]), acc);
          }
          if constexpr (HasMinima(W)) {
            const V minimum = hn::Mul(Shared(superblock[p], 1, v), Minima(superblock[p], block, v));
            for (size_t t = 0; t < kTokens; ++t) {
              V& acc = dots_.acc[p][t][v];
              acc = hn::NegMulAdd(x_sum[t], hn::Mul(minimum, x_scale[t]), acc);
            }
          }
        }
      }
    }
    scales_ += kB;
    sums_ += kB;
    half_sums_ += kB;
  }

  // What the integer scales (i = 0) or minima (i = 1) of a superblock are multiplied by.
  static HWY_INLINE V Shared(const std::byte* superblock, size_t i, size_t v) {
    const hn::Rebind<hwy::float16_t, D> df16;
    return hn::PromoteTo(d, hn::Load(df16, reinterpret_cast<const hwy::float16_t*>(superblock) +
                                               i * kPanelRows + v * kLanes));
  }
  // The integer scales of a block, and its minima.
  static HWY_INLINE V Integers(const std::byte* superblock, size_t block, size_t v) {
    const std::byte* at = superblock + TileByteKScale(W, 0, block * ScaleBlock(W)) + v * kLanes;
    if constexpr (W == WeightType::kQ6K) {
      const hn::Rebind<int8_t, D> bytes;
      return hn::ConvertTo(
          d, hn::PromoteTo(di32, hn::Load(bytes, reinterpret_cast<const int8_t*>(at))));
    } else {
      return Unsigned(at);
    }
  }
  static HWY_INLINE V Minima(const std::byte* superblock, size_t block, size_t v) {
    return Unsigned(superblock + TileByteKMinimum(W, 0, block * ScaleBlock(W)) + v * kLanes);
  }
  static HWY_INLINE V Unsigned(const std::byte* at) {
    const hn::Rebind<uint8_t, D> bytes;
    return hn::ConvertTo(
        d, hn::PromoteTo(di32, hn::Load(bytes, reinterpret_cast<const uint8_t*>(at))));
  }

  // Adds the integer products of a block, whose lines begin at `offset` of each superblock.
  HWY_INLINE void AddQuants(const std::byte* const (&superblock)[kPanels], size_t offset, Sums& s) {
    VI8 bits[kPanels][kVectors];
    if constexpr (W != WeightType::kQ4K) {
      for (size_t p = 0; p < kPanels; ++p) {
        for (size_t v = 0; v < kVectors; ++v) bits[p][v] = LoadLine(superblock[p] + offset, v);
      }
      offset += kLineBytes;
    }
    AddLine<0>(superblock, offset, bits, s);
    AddLine<1>(superblock, offset, bits, s);
    if constexpr (ScaleBlock(W) == kQuantBlock) {
      AddLine<2>(superblock, offset, bits, s);
      AddLine<3>(superblock, offset, bits, s);
    }
  }

  static HWY_INLINE VI8 LoadLine(const std::byte* line, size_t v) {
    return hn::Load(di8, reinterpret_cast<const int8_t*>(line) + v * kLanes * kQuad);
  }

  // Line kLine of a block's low bits: two quads of inputs.
  template <size_t kLine>
  HWY_INLINE void AddLine(const std::byte* const (&superblock)[kPanels], size_t offset,
                          const VI8 (&bits)[kPanels][kVectors], Sums& s) {
    const VI8 mask = hn::Set(di8, int8_t{0xf});
    VI8 low[kPanels][kVectors], high[kPanels][kVectors];
    for (size_t p = 0; p < kPanels; ++p) {
      for (size_t v = 0; v < kVectors; ++v) {
        const VI8 both = LoadLine(superblock[p] + offset + kLine * kLineBytes, v);
        low[p][v] = WithHighBits<2 * kLine>(hn::And(both, mask), bits[p][v]);
        high[p][v] = WithHighBits<2 * kLine + 1>(hn::And(MovedBits<8>(both), mask), bits[p][v]);
      }
    }
    for (size_t t = 0; t < kTokens; ++t) AddProducts(low, quants_ + t * kQuad, s, t);
    for (size_t t = 0; t < kTokens; ++t) AddProducts(high, quants_ + (kB + t) * kQuad, s, t);
    quants_ += 2 * kQuad * kB;
  }

  // The quants of a quad whose low bits are given, with those above.
  template <size_t kQuadOfBlock>
  static HWY_INLINE VI8 WithHighBits(VI8 low, VI8 bits) {
    if constexpr (W == WeightType::kQ4K) {
      return low;
    } else {
      constexpr size_t kDown = KHighShift(W, kQuadOfBlock * kQuad);
      const VI8 mask = hn::Set(di8, int8_t{W == WeightType::kQ5K ? 0x10 : 0x30});
      return hn::OrAnd(low, MovedBits<kDown>(bits), mask);
    }
  }

  static HWY_INLINE void AddProducts(const VI8 (&w)[kPanels][kVectors], const int8_t* quad, Sums& s,
                                     size_t t) {
    const VI8 x = BroadcastQuad(quad);
    for (size_t p = 0; p < kPanels; ++p) {
      for (size_t v = 0; v < kVectors; ++v) s[p][t][v] = DotQ4(s[p][t][v], w[p][v], x);
    }
  }

  const int8_t* HWY_RESTRICT quants_;
  const float* HWY_RESTRICT scales_;
  const int32_t* HWY_RESTRICT sums_;
  const int32_t* HWY_RESTRICT half_sums_;
  PassDots<kPanels, kTokens> dots_;
};

}  // namespace tvl::highway_portable

namespace tvl {

TVL_DEFINE_QUANTIZED(KBatchDots, WeightType::kQ4K);
TVL_DEFINE_QUANTIZED(KBatchDots, WeightType::kQ5K);
TVL_DEFINE_QUANTIZED(KBatchDots, WeightType::kQ6K);

}  // namespace tvl
HWY_AFTER_NAMESPACE();
