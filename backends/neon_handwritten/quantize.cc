#include <arm_neon.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "backends/neon_handwritten/lanes.h"
#include "backends/neon_handwritten/neon_handwritten.h"
#include "backends/neon_handwritten/unroll.h"
#include "core/canonical_math.h"
#include "core/tile.h"

namespace tvl {
namespace {

constexpr size_t kBlockRegisters = kQuantBlock / neon::kLanes;

// The maximum of the magnitudes of a block, as bits.
[[gnu::always_inline]] inline uint32_t LargestMagnitude(const float* x) {
  uint32x4_t largest = vdupq_n_u32(0);
  neon::Unroll<kBlockRegisters>([&](auto i) __attribute__((always_inline)) {
    const uint32x4_t bits = vreinterpretq_u32_f32(vld1q_f32(x + i * neon::kLanes));
    largest = vmaxq_u32(largest, vbicq_u32(bits, vdupq_n_u32(0x80000000u)));
  });
  return vmaxvq_u32(largest);
}

// One whole block.
void QuantizeBlock(const float* x, int8_t* quants, float* scale, int32_t* sum, int32_t* half_sum) {
  const uint32_t largest = LargestMagnitude(x);
  if (largest >= kInfinityBits || largest < kTinyBits) {
    std::memset(quants, 0, kQuantBlock);
    *scale = largest < kTinyBits ? 0.0f : std::bit_cast<float>(kCanonicalNaN);
    *sum = *half_sum = 0;
    return;
  }
  const float a = std::bit_cast<float>(largest);
  *scale = a / 127.0f;
  const float inverse = 127.0f / a;
  int16x8_t total = vdupq_n_s16(0);
  neon::Unroll<kBlockRegisters / 2>([&](auto i) __attribute__((always_inline)) {
    const float* eight = x + i * 8;
    const int32x4_t low = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(eight), inverse));
    const int32x4_t high = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(eight + neon::kLanes), inverse));
    const int16x8_t q = vcombine_s16(vmovn_s32(low), vmovn_s32(high));
    vst1_s8(quants + i * 8, vmovn_s16(q));
    total = vaddq_s16(total, q);
    if constexpr (i == kBlockRegisters / 4 - 1) *half_sum = vaddlvq_s16(total);
  });
  *sum = vaddlvq_s16(total);
}

}  // namespace

void NeonHandwritten::QuantizeActivations(const float* x, size_t n,
                                          const QuantizedRows& out) noexcept {
  const auto quantize = [&](const float* from, size_t b) {
    QuantizeBlock(from, out.quants + b * kQuantBlock, out.scales + b, out.sums + b,
                  out.half_sums + b);
  };
  const size_t whole = n / kQuantBlock;
  for (size_t b = 0; b < whole; ++b) quantize(x + b * kQuantBlock, b);
  if (n % kQuantBlock == 0) return;
  float rest[kQuantBlock] = {};
  std::memcpy(rest, x + whole * kQuantBlock, n % kQuantBlock * sizeof(float));
  quantize(rest, whole);
}

}  // namespace tvl
