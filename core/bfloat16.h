// bfloat16: the upper half of an f32, converted in integer arithmetic: the same bits on every
// machine.
#ifndef TVL_CORE_BFLOAT16_H_
#define TVL_CORE_BFLOAT16_H_

#include <bit>
#include <cstdint>

namespace tvl {

// Exact: NaNs keep their payload, subnormals their value.
constexpr float BF16ToF32(uint16_t h) {
  return std::bit_cast<float>(static_cast<uint32_t>(h) << 16);
}

// Round to nearest, ties to even; overflow gives infinity, as IEEE says. A NaN stays a NaN of the
// same sign, quiet, with what fits of its payload.
constexpr uint16_t F32ToBF16(float f) {
  const uint32_t bits = std::bit_cast<uint32_t>(f);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x0040u);
  // Just below half of what is kept, and one more where the last bit kept is odd. A carry counts
  // the exponent up, at last to that of infinity.
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace tvl

#endif  // TVL_CORE_BFLOAT16_H_
