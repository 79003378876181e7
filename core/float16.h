// IEEE binary16, converted in integer arithmetic: the same bits on every machine. Kernels use the
// hardware's conversions instead, which are exact in this direction and so agree.
#ifndef TVL_CORE_FLOAT16_H_
#define TVL_CORE_FLOAT16_H_

#include <bit>
#include <cstdint>

namespace tvl {

// Exact. A NaN stays a NaN. Normal numbers, which nearly all are, take one branch.
constexpr float F16ToF32(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
  const uint32_t magnitude = h & 0x7fffu;
  if (magnitude - 0x400u < 0x7c00u - 0x400u)
    return std::bit_cast<float>(sign | (magnitude + (112u << 10)) << 13);
  if (magnitude >= 0x7c00u)
    return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  // Zero and subnormals: mantissa * 2^-24, exact in f32.
  const float small = static_cast<float>(magnitude) * 0x1p-24f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(small));
}

// Round to nearest, ties to even; overflow gives infinity, as IEEE says.
constexpr uint16_t F32ToF16(float f) {
  constexpr uint32_t kSmallestNormal = 0x38800000;  // 2^-14
  constexpr uint32_t kOverflow = 0x477ff000;        // 65520 and above round to infinity
  const uint32_t bits = std::bit_cast<uint32_t>(f);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude - kSmallestNormal < kOverflow - kSmallestNormal) {
    // A carry out of the mantissa is one into the exponent, as it should be.
    const uint32_t rounded = (magnitude + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    return static_cast<uint16_t>(sign | (rounded - (112u << 10)));
  }
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);  // NaN
  if (magnitude >= kOverflow) return static_cast<uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x33000001u) return static_cast<uint16_t>(sign);  // 2^-25 and below
  // Subnormal: the bits of the significand that are shifted out decide the rounding.
  const uint32_t shift = 126 - (magnitude >> 23);
  const uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
  const uint32_t kept = significand >> shift;
  const uint32_t rest = significand & ((1u << shift) - 1);
  const uint32_t half = 1u << (shift - 1);
  const bool up = rest > half || (rest == half && (kept & 1u) != 0);
  return static_cast<uint16_t>(sign | (kept + (up ? 1u : 0u)));
}

}  // namespace tvl

#endif  // TVL_CORE_FLOAT16_H_
