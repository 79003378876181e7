// Sums of four products of 8-bit integers, which Highway 1.0.3 has no operation for: the helper of
// each target, exact in all of them.
//
// Included inside HWY_BEFORE_NAMESPACE / HWY_AFTER_NAMESPACE only.
#ifndef TVL_BACKENDS_HIGHWAY_PORTABLE_QUAD_DOT_INL_H_
#define TVL_BACKENDS_HIGHWAY_PORTABLE_QUAD_DOT_INL_H_

#include <cstdint>
#include <cstring>

#include "backends/highway_portable/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tvl::highway_portable {

using DI32 = hn::RebindToSigned<D>;
using DI8 = hn::Repartition<int8_t, D>;
using VI32 = hn::Vec<DI32>;
using VI8 = hn::Vec<DI8>;
inline constexpr DI32 di32;
inline constexpr DI8 di8;

// DotQ8: acc[i] += the sum over j < 4 of w[4i + j] * x[4i + j], with |x| <= 127.
// DotQ4: the same for 0 <= w <= 127.
// kQ8Offset: what DotQ8 adds to every w, which the caller takes back by the sum of x.
//
// By the compiler's own macros, since Highway 1.0.3 has VNNI in a target that must be asked for.
#if (HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86 && defined(__AVX512VNNI__)) || \
    (HWY_TARGET == HWY_AVX2 && defined(__AVXVNNI__))

// VPDPBUSD wants its first factor unsigned: -128 becomes 0. It adds four products to 32 bits and
// never saturates.
inline constexpr int32_t kQ8Offset = 128;
HWY_INLINE VI32 DotQ4(VI32 acc, VI8 w, VI8 x) {
#if HWY_TARGET == HWY_AVX2
  return VI32{_mm256_dpbusd_avx_epi32(acc.raw, w.raw, x.raw)};
#else
  return VI32{_mm512_dpbusd_epi32(acc.raw, w.raw, x.raw)};
#endif
}
HWY_INLINE VI32 DotQ8(VI32 acc, VI8 w, VI8 x) {
  return DotQ4(acc, hn::Xor(w, hn::Set(di8, int8_t{-128})), x);
}

#elif HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86

// VPMADDUBSW adds pairs of products to 16 bits and saturates: |w| * |x| twice is 32512 at most and
// fits, (w + 128) * |x| twice would not.
inline constexpr int32_t kQ8Offset = 0;
HWY_INLINE VI32 DotQ4(VI32 acc, VI8 w, VI8 x) {
  const __m512i pairs = _mm512_maddubs_epi16(w.raw, x.raw);
  return hn::Add(acc, VI32{_mm512_madd_epi16(pairs, _mm512_set1_epi16(1))});
}
HWY_INLINE VI32 DotQ8(VI32 acc, VI8 w, VI8 x) {
  const __m512i signed_x =
      _mm512_mask_sub_epi8(x.raw, _mm512_movepi8_mask(w.raw), _mm512_setzero_si512(), x.raw);
  return DotQ4(acc, VI8{_mm512_abs_epi8(w.raw)}, VI8{signed_x});
}

#elif HWY_TARGET == HWY_AVX2

inline constexpr int32_t kQ8Offset = 0;
HWY_INLINE VI32 DotQ4(VI32 acc, VI8 w, VI8 x) {
  const __m256i pairs = _mm256_maddubs_epi16(w.raw, x.raw);
  return hn::Add(acc, VI32{_mm256_madd_epi16(pairs, _mm256_set1_epi16(1))});
}
HWY_INLINE VI32 DotQ8(VI32 acc, VI8 w, VI8 x) {
  return DotQ4(acc, VI8{_mm256_abs_epi8(w.raw)}, VI8{_mm256_sign_epi8(x.raw, w.raw)});
}

#else  // NEON

inline constexpr int32_t kQ8Offset = 0;
HWY_INLINE VI32 DotQ8(VI32 acc, VI8 w, VI8 x) {
#ifdef __ARM_FEATURE_DOTPROD
  return VI32(vdotq_s32(acc.raw, w.raw, x.raw));
#else
  const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(w.raw), vget_low_s8(x.raw)));
  const int32x4_t high = vpaddlq_s16(vmull_s8(vget_high_s8(w.raw), vget_high_s8(x.raw)));
  return hn::Add(acc, VI32(vpaddq_s32(low, high)));
#endif
}
HWY_INLINE VI32 DotQ4(VI32 acc, VI8 w, VI8 x) { return DotQ8(acc, w, x); }

#endif

// A quad of inputs to all lanes.
HWY_INLINE VI8 BroadcastQuad(const int8_t* x) {
  int32_t quad;
  std::memcpy(&quad, x, sizeof(quad));
  return hn::BitCast(di8, hn::Set(di32, quad));
}

}  // namespace tvl::highway_portable
HWY_AFTER_NAMESPACE();

#endif  // TVL_BACKENDS_HIGHWAY_PORTABLE_QUAD_DOT_INL_H_
