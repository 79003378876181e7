// The integer sums of one block of q8, q4 or q4m weights: 16 rows by 32 inputs, exact. Here is all
// of a product with one vector that depends on whether the device has SDOT.
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

// Rows [4 * r, 4 * r + 4) of the 8 inputs whose quants begin at `line`.
template <WeightType W>
[[gnu::always_inline]] inline QuadPair LoadQuads(const std::byte* line, size_t r) {
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(line) + r * 16;
  const uint8x16_t first = vld1q_u8(bytes);
  if constexpr (W == WeightType::kQ8) {
    return {vreinterpretq_s8_u8(first), vreinterpretq_s8_u8(vld1q_u8(bytes + kLineBytes))};
  } else {
    return {vreinterpretq_s8_u8(vandq_u8(first, vdupq_n_u8(0xf))),
            vreinterpretq_s8_u8(vshrq_n_u8(first, 4))};
  }
}

// BlockInputs: the inputs of a block, 32 quants, as the products take them.
// RowSums: the sums of four rows of a block. They start from 0 (q8, q4m) or from -8 times the sum
// of the inputs (q4), which takes back the 8 that is in every quant.
//
//   RowSums(start)    start: the same number in all lanes
//   Add<kPair>(w, x)  adds the products of w with inputs 8 * kPair on, 8 of them; pair 0 first
//   Sums()            once every pair of the block is added
#ifdef __ARM_FEATURE_DOTPROD

struct BlockInputs {
  int8x16_t half[2];

  [[gnu::always_inline]] explicit BlockInputs(const int8_t* x)
      : half{vld1q_s8(x), vld1q_s8(x + 16)} {}
};

template <WeightType W>
class RowSums {
 public:
  [[gnu::always_inline]] explicit RowSums(int32x4_t start) : sums_(start) {}

  template <size_t kPair>
  [[gnu::always_inline]] void Add(const QuadPair& w, const BlockInputs& x) {
    sums_ = vdotq_laneq_s32(sums_, w.even, x.half[kPair / 2], kPair % 2 * 2);
    sums_ = vdotq_laneq_s32(sums_, w.odd, x.half[kPair / 2], kPair % 2 * 2 + 1);
  }

  [[gnu::always_inline]] int32x4_t Sums() const { return sums_; }

 private:
  int32x4_t sums_;
};

#else

// Each quad four times: beside four rows.
struct BlockInputs {
  int8x16_t quad[kQuantBlock / 4];

  [[gnu::always_inline]] explicit BlockInputs(const int8_t* x) {
    Unroll<kQuantBlock / 4>([&](auto i) __attribute__((always_inline)) {
      int32_t four;
      std::memcpy(&four, x + 4 * i, sizeof(four));
      quad[i] = vreinterpretq_s8_s32(vdupq_n_s32(four));
    });
  }
};

// The products of 8 bits are added to 16: of q8 two at most, |-128 * 127| twice being 32512, which
// then go on to 32 bits; of q4 and q4m all 8 of the block that share a lane, 15 * 127 eight times
// being 15240, and in the end two lanes. So q4 takes 4 instructions for 32 products where q8 takes
// 6.
template <WeightType W>
class RowSums {
 public:
  [[gnu::always_inline]] explicit RowSums(int32x4_t start) : start_(start) {}

  template <size_t kPair>
  [[gnu::always_inline]] void Add(const QuadPair& w, const BlockInputs& x) {
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
    } else {
      const int16x8_t sums = vpaddq_s16(low_, high_);
      return W == WeightType::kQ4 ? vpadalq_s16(start_, sums) : vpaddlq_s16(sums);
    }
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
