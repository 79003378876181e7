// What a pass of quantized_gemm.cc is made of: all of it that depends on whether the device has
// SMMLA or only SDOT.
#ifndef TVL_BACKENDS_NEON_HANDWRITTEN_QUANTIZED_STEPS_H_
#define TVL_BACKENDS_NEON_HANDWRITTEN_QUANTIZED_STEPS_H_

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "backends/neon_handwritten/neon_handwritten.h"
#include "backends/neon_handwritten/panel_sums.h"

namespace tvl::neon {

#ifdef __ARM_FEATURE_DOTPROD

inline constexpr size_t kTokens = NeonHandwritten::kQuantBatch;
static_assert(kTokens == 4);
inline constexpr size_t kHalves = 2;  // of the rows of a panel: a pass takes one
inline constexpr size_t kHalfRegisters = kRowRegisters / kHalves;
inline constexpr size_t kRegisterBytes = 16;

// The sums of a pass: register kRowParts * t + r is part r of the rows with part t of the tokens.
//
// A step is what one register of weights holds of K:
//   kStepInputs   of how many inputs
//   StepInputs    those of four tokens; Add<t>(w, sum) adds the products with part t of them
//   TokenFactors  four tokens' numbers, each to be multiplied with what belongs to its token
#ifdef __ARM_FEATURE_MATMUL_INT8

// A part is two rows or two tokens, a register r0t0 r0t1 r1t0 r1t1.
inline constexpr size_t kRowParts = 4;
inline constexpr size_t kTokenParts = 2;
inline constexpr size_t kStepInputs = 8;

struct StepInputs {
  int8x16_t pair[kTokenParts];

  [[gnu::always_inline]] explicit StepInputs(const int8_t* x) {
    const int32x4_t even = vreinterpretq_s32_s8(vld1q_s8(x));
    const int32x4_t odd = vreinterpretq_s32_s8(vld1q_s8(x + kRegisterBytes));
    pair[0] = vreinterpretq_s8_s32(vzip1q_s32(even, odd));
    pair[1] = vreinterpretq_s8_s32(vzip2q_s32(even, odd));
  }

  template <size_t kPart>
  [[gnu::always_inline]] int32x4_t Add(int8x16_t w, int32x4_t sum) const {
    return vmmlaq_s32(sum, w, pair[kPart]);
  }
};

struct TokenFactors {
  float32x4_t pair[kTokenParts];

  [[gnu::always_inline]] explicit TokenFactors(float32x4_t four)
      : pair{vcombine_f32(vget_low_f32(four), vget_low_f32(four)),
             vcombine_f32(vget_high_f32(four), vget_high_f32(four))} {}

  template <size_t kPart>
  [[gnu::always_inline]] float32x4_t Mul(float32x4_t w) const {
    return vmulq_f32(w, pair[kPart]);
  }
  template <size_t kPart>
  [[gnu::always_inline]] float32x4_t MulAdd(float32x4_t w, float32x4_t sum) const {
    return vfmaq_f32(sum, w, pair[kPart]);
  }
};

// Four rows of one token of a pass. sums: the pass's, from the rows' first register on.
[[gnu::always_inline]] inline float32x4_t FourRows(const float* sums, size_t token) {
  const float* part = sums + token / 2 * kRowParts * kLanes;
  const float32x4_t low = vld1q_f32(part), high = vld1q_f32(part + kLanes);
  return token % 2 == 0 ? vuzp1q_f32(low, high) : vuzp2q_f32(low, high);
}

#else

// A part is four rows or one token.
inline constexpr size_t kRowParts = 2;
inline constexpr size_t kTokenParts = 4;
inline constexpr size_t kStepInputs = 4;

struct StepInputs {
  int8x16_t four;

  [[gnu::always_inline]] explicit StepInputs(const int8_t* x) : four(vld1q_s8(x)) {}

  template <size_t kPart>
  [[gnu::always_inline]] int32x4_t Add(int8x16_t w, int32x4_t sum) const {
    return vdotq_laneq_s32(sum, w, four, kPart);
  }
};

struct TokenFactors {
  float32x4_t four;

  [[gnu::always_inline]] explicit TokenFactors(float32x4_t numbers) : four(numbers) {}

  template <size_t kPart>
  [[gnu::always_inline]] float32x4_t Mul(float32x4_t w) const {
    return vmulq_laneq_f32(w, four, kPart);
  }
  template <size_t kPart>
  [[gnu::always_inline]] float32x4_t MulAdd(float32x4_t w, float32x4_t sum) const {
    return vfmaq_laneq_f32(sum, w, four, kPart);
  }
};

[[gnu::always_inline]] inline float32x4_t FourRows(const float* sums, size_t token) {
  return vld1q_f32(sums + token * kRowParts * kLanes);
}

#endif  // __ARM_FEATURE_MATMUL_INT8

#endif  // __ARM_FEATURE_DOTPROD

}  // namespace tvl::neon

#endif  // TVL_BACKENDS_NEON_HANDWRITTEN_QUANTIZED_STEPS_H_
