// The integer sums of one block of weights of the quantised types, exact. Here is all of a product
// with one vector that depends on whether the device has SDOT.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_BLOCK_SUMS_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_BLOCK_SUMS_H_

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "backends/neon_handwritten/unroll.h"
#include "core/tile.h"

namespace tvl::neon {

// Four rows by two quads of inputs: a lane of 32 bits is a row.
struct QuadPair {
  int8x16_t even;
  int8x16_t odd;
};

// Rows [4 * r, 4 * r + 4) of the 8 inputs whose quants begin at `line`. Types with high bits:
// k_quants.h.
template <WeightType W>
[[gnu::always_inline]] inline QuadPair LoadQuads(const std::byte* line, size_t r) {
  static_assert(W != WeightType::kQ5K && W != WeightType::kQ6K);
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(line) + r * 16;
  const uint8x16_t first = vld1q_u8(bytes);
  if constexpr (W == WeightType::kQ8) {
    return {vreinterpretq_s8_u8(first), vreinterpretq_s8_u8(vld1q_u8(bytes + kLineBytes))};
  } else {
    return {vreinterpretq_s8_u8(vandq_u8(first, vdupq_n_u8(0xf))),
            vreinterpretq_s8_u8(vshrq_n_u8(first, 4))};
  }
}

// BlockInputs: the inputs of a block, ScaleBlock of them, as the products take them.
// RowSums: the sums of four rows of a block. They start from 0 (q8, q4m), from -8 times the sum of
// the inputs (q4), which takes back the 8 that is in every quant, or from kBiasBits (q4k, q5k,
// q6k).
//
//   RowSums(start)    start: in all lanes what LaneStart makes of that
//   Add<kPair>(w, x)  adds the products of w with inputs 8 * kPair on, 8 of them; pair 0 first
//   Sums()            once every pair of the block is added
//   LoadAfter(p)      as PanelSums::LoadAfter: once those pairs are added that were so far
//   LaneStart<W>(n)   the lane of `start` for sums that start from n
#ifdef __ARM_FEATURE_DOTPROD

template <WeightType W>
constexpr int32_t LaneStart(int32_t n) {
  return n;
}

template <WeightType W>
struct BlockInputs {
  int8x16_t half[ScaleBlock(W) / 16];  // of 32 inputs

  [[gnu::always_inline]] explicit BlockInputs(const int8_t* x) {
    Unroll<ScaleBlock(W) / 16>([&](auto i) __attribute__((always_inline)) {
      half[i] = vld1q_s8(x + 16 * i);
    });
  }
};

template <WeightType W>
class RowSums {
 public:
  [[gnu::always_inline]] explicit RowSums(int32x4_t start) : sums_(start) {}

  template <size_t kPair>
  [[gnu::always_inline]] void Add(const QuadPair& w, const BlockInputs<W>& x) {
    sums_ = vdotq_laneq_s32(sums_, w.even, x.half[kPair / 2], kPair % 2 * 2);
    sums_ = vdotq_laneq_s32(sums_, w.odd, x.half[kPair / 2], kPair % 2 * 2 + 1);
  }

  [[gnu::always_inline]] int32x4_t Sums() const { return sums_; }

  template <typename T>
  [[gnu::always_inline]] void LoadAfter(const T*& p) const {
    asm("" : "+r"(p) : "w"(sums_));
  }

 private:
  int32x4_t sums_;
};

#else

// A sum of q6k is made of two lanes, both of which start so.
template <WeightType W>
constexpr int32_t LaneStart(int32_t n) {
  return W == WeightType::kQ6K ? n / 2 : n;
}

// Each quad four times: beside four rows.
template <WeightType W>
struct BlockInputs {
  int8x16_t quad[ScaleBlock(W) / 4];

  [[gnu::always_inline]] explicit BlockInputs(const int8_t* x) {
    Unroll<ScaleBlock(W) / 4>([&](auto i) __attribute__((always_inline)) {
      int32_t four;
      std::memcpy(&four, x + 4 * i, sizeof(four));
      quad[i] = vreinterpretq_s8_s32(vdupq_n_s32(four));
    });
  }
};

// The products of 8 bits are added to 16: of q8 two at most, |-128 * 127| twice being 32512, which
// then go on to 32 bits; of the others all of a block that share a lane. Those are 8, but of q6k 4:
// 15 * 127 eight times is 15240, |-16 * 127| eight times 16256 (q5k, whose quants come less 16),
// and two such lanes still fit; 63 * 127 four times is 32004 (q6k), and lanes have to be widened
// first. So q4 takes 4 instructions for 32 products where q8 takes 6.
template <WeightType W>
class RowSums {
 public:
  [[gnu::always_inline]] explicit RowSums(int32x4_t start) : start_(start) {}

  template <size_t kPair>
  [[gnu::always_inline]] void Add(const QuadPair& w, const BlockInputs<W>& x) {
    const int8x16_t even = x.quad[2 * kPair], odd = x.quad[2 * kPair + 1];
    const int8x8_t w_even = vget_low_s8(w.even), w_odd = vget_low_s8(w.odd);
    const int8x8_t x_even = vget_low_s8(even), x_odd = vget_low_s8(odd);
    if constexpr (W == WeightType::kQ8) {
      const int16x8_t low = vmlal_s8(vmull_s8(w_even, x_even), w_odd, x_odd);
      const int16x8_t high = vmlal_high_s8(vmull_high_s8(w.even, even), w.odd, odd);
      low_ = kPair == 0 ? vpaddlq_s16(low) : vpadalq_s16(low_, low);
      high_ = kPair == 0 ? vpaddlq_s16(high) : vpadalq_s16(high_, high);
    } else {
      low_ = kPair == 0 ? vmull_s8(w_even, x_even) : vmlal_s8(low_, w_even, x_even);
      low_ = vmlal_s8(low_, w_odd, x_odd);
      high_ = kPair == 0 ? vmull_high_s8(w.even, even) : vmlal_high_s8(high_, w.even, even);
      high_ = vmlal_high_s8(high_, w.odd, odd);
    }
  }

  [[gnu::always_inline]] int32x4_t Sums() const {
    if constexpr (W == WeightType::kQ8) {
      return vpaddq_s32(low_, high_);
    } else if constexpr (W == WeightType::kQ6K) {
      return vpaddq_s32(vpadalq_s16(start_, low_), vpadalq_s16(start_, high_));
    } else {
      const int16x8_t sums = vpaddq_s16(low_, high_);
      return W == WeightType::kQ4M ? vpaddlq_s16(sums) : vpadalq_s16(start_, sums);
    }
  }

  template <typename T>
  [[gnu::always_inline]] void LoadAfter(const T*& p) const {
    asm("" : "+r"(p) : "w"(low_), "w"(high_));
  }

 private:
  using Partial = std::conditional_t<W == WeightType::kQ8, int32x4_t, int16x8_t>;
  int32x4_t start_;
  Partial low_;   // of the first two rows
  Partial high_;  // of the other two
};

#endif  // __ARM_FEATURE_DOTPROD

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_BLOCK_SUMS_H_
