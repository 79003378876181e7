// What is of q4k, q5k and q6k alone: quants whose bits lie in two places, and scales and minima
// that are products.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_K_QUANTS_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_K_QUANTS_H_

#include <arm_neon.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "backends/neon_handwritten/block_sums.h"
#include "backends/neon_handwritten/wide_eight.h"
#include "core/tile.h"

namespace tvl::neon {

// What is still to be added to the quants of KQuads: it is cheaper to add it to the sums, times the
// sum of the inputs.
template <WeightType W>
inline constexpr int32_t kQuantOffset = W == WeightType::kQ5K   ? 16
                                        : W == WeightType::kQ6K ? -32
                                                                : 0;

// Row b is 16 bytes of 1 << b, by which VTST tells of 16 quants whether bit b is set.
alignas(kLineBytes) inline constexpr auto kBitOfByte = [] {
  std::array<uint8_t, 8 * sizeof(uint8x16_t)> bits = {};
  for (size_t i = 0; i < bits.size(); ++i)
    bits[i] = static_cast<uint8_t>(1 << i / sizeof(uint8x16_t));
  return bits;
}();

// The quants of four rows of a block of ScaleBlock inputs, less kQuantOffset: 0 to 15 of q4k, -16
// to 15 of q5k, 0 to 63 of q6k.
//
//   KQuads(block, r)         rows [4 * r, 4 * r + 4); block: its first line
//   Pair<kPair>(block, bit)  inputs 8 * kPair on, 8 of them; bit: kBitOfByte
template <WeightType W>
class KQuads;

template <>
class KQuads<WeightType::kQ4K> {
 public:
  [[gnu::always_inline]] KQuads(const std::byte*, size_t r) : r_(r) {}

  template <size_t kPair>
  [[gnu::always_inline]] QuadPair Pair(const std::byte* block, const uint8_t*) const {
    return LoadQuads<WeightType::kQ4K>(block + kPair * kLineBytes, r_);
  }

 private:
  size_t r_;
};

// Emits no instruction. What takes `later` is computed after `earlier`: where SLI is the last to
// read the register that it writes over, gcc does not have to copy it.
[[gnu::always_inline]] inline void Order(uint8x16_t earlier, uint8x16_t& later) {
  asm("" : "+w"(later) : "w"(earlier));
}

// Where the fifth bit is 0, four ones go above the other bits, as those of -16 are: that takes no
// mask, and two instructions a quad.
template <>
class KQuads<WeightType::kQ5K> {
 public:
  [[gnu::always_inline]] KQuads(const std::byte* block, size_t r) : r_(r) {
    const uint8_t* line = reinterpret_cast<const uint8_t*>(block);
    uint8x16_t zeros = vmvnq_u8(vld1q_u8(line + r * sizeof(zeros)));
    asm("" : "+w"(zeros));  // compilers would negate every quad instead
    zeros_ = zeros;
  }

  template <size_t kPair>
  [[gnu::always_inline]] QuadPair Pair(const std::byte* block, const uint8_t* bit) const {
    const uint8_t* line = reinterpret_cast<const uint8_t*>(block) + (1 + kPair) * kLineBytes;
    const uint8x16_t low = vld1q_u8(line + r_ * sizeof(low));
    uint8x16_t even = vtstq_u8(zeros_, vld1q_u8(bit + 2 * kPair * sizeof(even)));
    uint8x16_t odd = vtstq_u8(zeros_, vld1q_u8(bit + (2 * kPair + 1) * sizeof(odd)));
    odd = vsriq_n_u8(odd, low, 4);
    Order(odd, even);
    return {vreinterpretq_s8_u8(vsliq_n_u8(low, even, 4)), vreinterpretq_s8_u8(odd)};
  }

 private:
  size_t r_;
  uint8x16_t zeros_;  // the complement of the fifth bits
};

// Quads 0 and 2 have their high bits at 0 and 4 of a byte, quads 1 and 3 at 2 and 6. Once the other
// two are cleared, a quad takes one or two instructions.
template <>
class KQuads<WeightType::kQ6K> {
 public:
  [[gnu::always_inline]] KQuads(const std::byte* block, size_t r) : r_(r) {
    const uint8x16_t high =
        vld1q_u8(reinterpret_cast<const uint8_t*>(block) + r * sizeof(uint8x16_t));
    even_ = vandq_u8(high, vdupq_n_u8(0x33));
    odd_ = vbicq_u8(high, vdupq_n_u8(0x33));
  }

  template <size_t kPair>
  [[gnu::always_inline]] QuadPair Pair(const std::byte* block, const uint8_t*) {
    const uint8_t* line = reinterpret_cast<const uint8_t*>(block) + (1 + kPair) * kLineBytes;
    const uint8x16_t low = vld1q_u8(line + r_ * sizeof(low));
    const uint8x16_t odd =
        vsriq_n_u8(kPair == 0 ? vshlq_n_u8(odd_, 2) : vshrq_n_u8(odd_, 2), low, 4);
    Order(odd, even_);
    const uint8x16_t even =
        kPair == 0 ? vsliq_n_u8(low, even_, 4) : vbslq_u8(vdupq_n_u8(0x0f), low, even_);
    return {vreinterpretq_s8_u8(even), vreinterpretq_s8_u8(odd)};
  }

 private:
  size_t r_;
  uint8x16_t even_;
  uint8x16_t odd_;
};

// Of rows [row, row + 8) and the block that input k is in: the integers of the block's scale or
// minimum, with which the superblock's numbers are to be multiplied. superblock: its first line.
template <WeightType W>
[[gnu::always_inline]] inline WideEight ScaleIntegers(const std::byte* superblock, size_t row,
                                                      size_t k, float32x4_t bias) {
  using Byte = std::conditional_t<W == WeightType::kQ6K, int8_t, uint8_t>;
  return {reinterpret_cast<const Byte*>(superblock + TileByteKScale(W, row, k)), bias};
}
template <WeightType W>
[[gnu::always_inline]] inline WideEight MinimumIntegers(const std::byte* superblock, size_t row,
                                                        size_t k, float32x4_t bias) {
  return {reinterpret_cast<const uint8_t*>(superblock + TileByteKMinimum(W, row, k)), bias};
}

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_K_QUANTS_H_
