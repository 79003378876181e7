// IEEE binary16, converted in integer arithmetic: the same bits on every machine. Kernels use the
// hardware's conversions instead, which are exact in this direction and so agree.
#ifndef TVL_CORE_FLOAT16_H_
#define TVL_CORE_FLOAT16_H_

#include <bit>
#include <cstdint>

namespace tvl {

// Exact. A NaN stays a NaN.
constexpr float F16ToF32(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
  const uint32_t exponent = (h >> 10) & 0x1fu;
  const uint32_t mantissa = h & 0x3ffu;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent != 0)
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
  // Zero and subnormals: mantissa * 2^-24, exact in f32.
  const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

// Round to nearest, ties to even; overflow gives infinity, as IEEE says.
constexpr uint16_t F32ToF16(float f) {
  const uint32_t bits = std::bit_cast<uint32_t>(f);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7e00u;   // NaN
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // 65520 and above round to infinity
  if (magnitude < 0x33000001u) return sign;             // 2^-25 and below round to zero
  // A subnormal result shifts the significand further right; the bits shifted out decide the
  // rounding.
  const uint32_t exponent = magnitude >> 23;
  const uint32_t shift = exponent < 113 ? 126 - exponent : 13;
  const uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
  const uint32_t kept = significand >> shift;
  const uint32_t rest = significand & ((1u << shift) - 1);
  const uint32_t half = 1u << (shift - 1);
  const uint32_t rounded = kept + ((rest > half || (rest == half && (kept & 1u))) ? 1u : 0u);
  // In the normal range `kept` still holds the implicit bit, hence exponent - 113 and not - 112.
  const uint32_t base = exponent < 113 ? 0u : (exponent - 113) << 10;
  return static_cast<uint16_t>(sign | (base + rounded));
}

}  // namespace tvl

#endif  // TVL_CORE_FLOAT16_H_
