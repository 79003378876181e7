// What every file of this backend shares: the vector type, the target check, loads of weights, Exp.
//
// Included inside HWY_BEFORE_NAMESPACE / HWY_AFTER_NAMESPACE only.
#ifndef TVL_BACKENDS_HIGHWAY_PORTABLE_VECTORS_INL_H_
#define TVL_BACKENDS_HIGHWAY_PORTABLE_VECTORS_INL_H_

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "backends/highway_portable/checked_highway-inl.h"
#include "core/canonical_math.h"
#include "core/tensor_view.h"
#include "core/tile.h"

// The canonical order needs a fused MulAdd. Highway falls back to unfused targets silently when the
// flags miss a feature (AVX2 wants -maes -mpclmul as well), so it is said here. On ARM every NEON
// target will do: later releases have several.
#if HWY_ARCH_X86
static_assert(HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL,
              "highway_portable needs AVX2 (-march=x86-64-v3 -maes -mpclmul) or AVX-512");
#else
static_assert(HWY_ARCH_ARM && HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128 &&
                  !HWY_HAVE_SCALABLE,
              "highway_portable needs NEON");
#endif

HWY_BEFORE_NAMESPACE();
namespace tvl::highway_portable {

// At most a line of 16 rows: 16 lanes on AVX-512, 8 on AVX2, 4 on NEON.
using D = hn::CappedTag<float, kPanelRows>;
using V = hn::Vec<D>;
inline constexpr D d;
inline constexpr size_t kLanes = hn::MaxLanes(D());
inline constexpr size_t kVectors = kPanelRows / kLanes;  // vectors of a line

#if HWY_ARCH_ARM || HWY_TARGET <= HWY_AVX3
inline constexpr size_t kRegisters = 32;
#else
inline constexpr size_t kRegisters = 16;
#endif

// How far ahead of the loads lines are asked for. Measured on a Xeon with AVX-512, see the README's
// table: without any prefetch f16 reaches 72% of the read bandwidth, because a hardware prefetcher
// stops at each 4 KiB page.
inline constexpr size_t kPrefetchL1 = 2048;
inline constexpr size_t kPrefetchL2 = 12288;

// Asks for the lines that `bytes` bytes of the stream at `at` will need later. Prefetches never
// fault, so the end of the matrix needs no care: what follows it in the file is what is read next.
template <size_t kBytes>
HWY_INLINE void PrefetchStream(const std::byte* at) {
  for (size_t line = 0; line < kBytes; line += kLineBytes) {
    __builtin_prefetch(at + kPrefetchL1 + line, 0, 3);
    __builtin_prefetch(at + kPrefetchL2 + line, 0, 2);
  }
}

// Panels that a pass over a batch walks side by side: each input serves both.
inline constexpr size_t kPassPanels = kVectors == 1 ? 2 : 1;

// Calls f<kTokens>() with the least of some sizes that is not below `tokens`, which is at most
// kBatch: what a pass computes beyond `tokens` is not stored.
template <size_t kBatch, typename F>
HWY_INLINE void WithPassTokens(size_t tokens, F&& f) {
  if constexpr (kBatch > 8) {
    if (tokens > 8) return f.template operator()<kBatch>();
    if (tokens > 6) return f.template operator()<8>();
  }
  if constexpr (kBatch > 4) {
    if (tokens > 4) return f.template operator()<6>();
    if (tokens > 3) return f.template operator()<4>();
  }
  if (tokens > 2) return f.template operator()<3>();
  if (tokens > 1) return f.template operator()<2>();
  f.template operator()<1>();
}

// Calls f<tokens>(), for 1 to kMost.
template <size_t kMost, typename F>
HWY_INLINE void ExactTokens(size_t tokens, F&& f) {
  if constexpr (kMost > 1) {
    if (tokens < kMost) return ExactTokens<kMost - 1>(tokens, f);
  }
  f.template operator()<kMost>();
}

// Calls f(p, panels) for the panels of the range in passes: f<kPassPanels>, and f<1> for what is
// left.
template <typename F>
HWY_INLINE void ForPasses(PanelRange panels, F&& f) {
  size_t p = panels.begin;
  for (; p + kPassPanels <= panels.end; p += kPassPanels) f.template operator()<kPassPanels>(p);
  for (; p < panels.end; ++p) f.template operator()<1>(p);
}

// Vector of rows [first, first + kLanes) of a panel's result; only rows that exist are stored.
HWY_INLINE void StoreRows(V sum, size_t first, size_t rows, float* y) {
  if (first + kLanes <= rows) return hn::StoreU(sum, d, y + first);
  HWY_ALIGN float lanes[kLanes];
  hn::Store(sum, d, lanes);
  for (size_t r = first; r < rows; ++r) y[r] = lanes[r - first];
}

// Rows [first, first + kLanes) of input c (0..3) of the four whose lines begin at `quad`, widened
// to f32.
template <WeightType W>
HWY_INLINE V LoadWeights(const std::byte* quad, size_t c, size_t first) {
  if constexpr (W == WeightType::kF32) {
    return hn::Load(d, reinterpret_cast<const float*>(quad) + TileIndexF32(first, c));
  } else if constexpr (W == WeightType::kF16) {
    const hn::Rebind<hwy::float16_t, D> df16;
    return hn::PromoteTo(
        d, hn::Load(df16, reinterpret_cast<const hwy::float16_t*>(quad) + TileIndexF16(first, c)));
  } else if constexpr (W == WeightType::kI8) {
    const hn::Rebind<int8_t, D> di8;
    const hn::RebindToSigned<D> di32;
    return hn::ConvertTo(
        d, hn::PromoteTo(
               di32, hn::Load(di8, reinterpret_cast<const int8_t*>(quad) + TileIndexI8(first, c))));
  } else {
    static_assert(W == WeightType::kBF16);
    // A 32-bit lane holds an even input and, above it, the odd one. Once the loop over c is
    // unrolled both come from one load.
    const hn::RebindToUnsigned<D> du;
    const auto pair =
        hn::Load(du, reinterpret_cast<const uint32_t*>(quad) + c / 2 * kPanelRows + first);
    return hn::BitCast(
        d, c % 2 == 0 ? hn::ShiftLeft<16>(pair) : hn::And(pair, hn::Set(du, 0xffff0000u)));
  }
}

// The Exp of core/canonical_math.h, lane by lane.
HWY_INLINE V VectorExp(V x) {
  using C = ExpConstants;
  const hn::RebindToUnsigned<D> du;
  const V round = hn::Set(d, C::kRound);
  const V t = hn::MulAdd(x, hn::Set(d, C::kLog2E), round);
  const auto n = hn::Sub(hn::BitCast(du, t), hn::BitCast(du, round));
  const V f = hn::Sub(t, round);
  V r = hn::MulAdd(f, hn::Set(d, C::kLn2High), x);
  r = hn::MulAdd(f, hn::Set(d, C::kLn2Low), r);
  V p = hn::Set(d, C::kC0);
  p = hn::MulAdd(p, r, hn::Set(d, C::kC1));
  p = hn::MulAdd(p, r, hn::Set(d, C::kC2));
  p = hn::MulAdd(p, r, hn::Set(d, C::kC3));
  p = hn::MulAdd(p, r, hn::Set(d, C::kC4));
  p = hn::MulAdd(p, r, hn::Set(d, C::kC5));
  const V y = hn::Add(hn::Set(d, 1.0f), hn::MulAdd(hn::Mul(p, r), r, r));
  V result = hn::BitCast(d, hn::Add(hn::BitCast(du, y), hn::ShiftLeft<23>(n)));
  result = hn::IfThenElse(hn::Lt(x, hn::Set(d, C::kUnderflow)), hn::Zero(d), result);
  result = hn::IfThenElse(hn::Gt(x, hn::Set(d, C::kOverflow)),
                          hn::BitCast(d, hn::Set(du, 0x7f800000u)), result);
  return hn::IfThenElse(hn::IsNaN(x), hn::BitCast(d, hn::Set(du, kCanonicalNaN)), result);
}

// The 16 lanes of a vector sum, on their way to one.
struct LaneSums {
  HWY_ALIGN float lane[kPanelRows] = {};

  float Reduce() {
    for (size_t s = kPanelRows / 2; s > 0; s /= 2) {
      for (size_t j = 0; j < s; ++j) lane[j] += lane[j + s];
    }
    return lane[0];
  }
};

}  // namespace tvl::highway_portable
HWY_AFTER_NAMESPACE();

#endif  // TVL_BACKENDS_HIGHWAY_PORTABLE_VECTORS_INL_H_
