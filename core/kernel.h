// The Kernel concept, and with it the numeric contract of the engine: the canonical order.
//
// A backend is a stateless struct of static noexcept functions that compute the operations below.
// For every operation this header says which IEEE operations are done in which order, so that every
// backend, thread count and batch size gives the same bits; backends are compared with ==.
// backends/scalar_reference is the executable form of this text.
//
// Ground rules
//
// - IEEE binary32, round to nearest even, subnormals kept. `fma` is fused and stands only where it
//   is written; everything is compiled with -ffp-contract=off and without fast-math
//   (core/compiler_check.h).
// - Two results are equal when a == b or both are NaN. No operation turns the sign of a zero into a
//   value.
// - No libm: Exp, sine and cosine are ours (core/canonical_math.h).
// - Kernels allocate nothing, start no threads, do no I/O, and know no model. Scheduling stays
//   outside: a product takes a range of panels and touches nothing of other panels.
// - Pointers to floats need the alignment of float only; weights are 64-byte aligned. Panels may be
//   longer than w.cols needs, as those of a KV cache are: only the strides of w tell where they
//   lie. Outputs do not overlap inputs unless it is said.
// - A backend says how many rows the batches of Gemm hold (core/activations.h): kFloatBatch for
//   floats, kQuantBatch for quantised activations, 1 to 16.
// - An operation writes the elements that it names and nothing beyond. RunState's lanes are
//   allocated zeroed, which is how their tails stay +0.
//
// Operations
//
// K is w.cols, and Kp is K as stored: rounded up to a multiple of 4 for f32, f16, bf16 and i8, of
// 64 for q8, q4 and q4m, of 256 for q4k, q5k and q6k (core/tile.h). Beyond K activations are 0, and
// so are weights, of types with minima their quants: a block that K ends in has its minimum there
// too, times nothing. What w[r][k] is of each type is in core/tile_weight.h, and how each writes 0
// in models/TVL_FORMAT.md.
//
// The dot of a row of f32, f16, bf16 or i8 with x. Weights are widened to f32, which is exact. How
// the four chains interleave in time is free.
//
//     p[0..3] = +0
//     p[k % 4] = fma(w[k], x[k], p[k % 4])            for k = 0 .. Kp - 1, increasing
//     dot = (p[0] + p[1]) + (p[2] + p[3])
//
// QuantizeActivations(x, n, out), for each block b of 32 numbers that n touches; beyond n, x is +0
//     m = the unsigned maximum of the bits of x without the sign
//     if m >= 0x7f800000 (an infinity or a NaN is among them): scale[b] = NaN, quants and sums 0
//     if m < 0x0d800000 (all are below 2^-100): scale[b] = +0, quants and sums 0
//     else a = the float of m, scale[b] = a / 127, i = 127 / a,
//          quant[k] = x[k] * i, rounded to nearest even, which is -127 to 127
//          sum[b] = the sum of the block's quants, half_sum[b] that of the first 16 of them
// All 32 quants of these blocks are written and nothing of others, which other threads may be
// writing.
//
// The dot of a row of a quantised type with quantised x, block by block of 32 inputs, of q6k of 16.
// Of block b: s is the exact sum of the products of its quants (q4: of the quants less 8, q6k: less
// 32), below 2^24; ws is its scale and wm what its minimum adds (PanelScale and PanelMinimum of
// core/tile_weight.h, exact in f32); xs is the scale of the inputs, and sum theirs.
//
//     acc = +0
//     acc = fma(float(s), ws * xs, acc)               for increasing b
//     acc = fma(float(sum), wm * xs, acc)             q4m, q4k and q5k, after the line above
//     dot = acc
//
// Gemv<W>(w, panels, x, y)
//     y[r] = dot(w[r], x)                             for the rows of `panels` below w.rows
//
// Gemm<W>(w, panels, x, tokens, y, y_stride), tokens >= 2, x in batches, where each token gets the
// bits of Gemv
//     y[t * y_stride + r] = dot(w[r], row t of x)
//
// EmbedRow<W>(w, row, out), of every type but i8
//     out[c] = w[row][c]                              for c < K, rounded once
//
// RoundToF16(x, n, out), out in bits
//     out[i] = x[i] in f16, rounded to nearest even; a NaN stays some NaN
//
// ScaleByF16(x, scales, n, y), scales in bits of f16
//     y[i] = x[i] * scales[i]                         scales widened to f32, which is exact
//
// RmsNorm(x, weight, n, epsilon, y)
//     lane[0..15] = +0
//     lane[i % 16] = fma(x[i], x[i], lane[i % 16])    for i < n, increasing
//     lane[j] += lane[j + s], j < s                   for s = 8, 4, 2, 1
//     r = 1 / sqrt(lane[0] / float(n) + epsilon)
//     y[i] = (x[i] * r) * weight[i]
//
// Rope(x, cos, sin, dims, y), where y may be x; for i < dims / 2, a = x[i], b = x[i + dims / 2]
//     y[i] = fma(a, cos[i], -(b * sin[i]))
//     y[i + dims / 2] = fma(a, sin[i], b * cos[i])
//
// Softmax(s, n, scale), in place over n visible scores, with room for n rounded up to 4
//     z[i] = s[i] * scale
//     m = the maximum of z by comparison from -inf
//     e[i] = z[i] - m < -72 ? +0 : Exp(z[i] - m)
//     total = the sum of e by 16 lanes, as in RmsNorm with + for fma
//     c = 1 / total
//     s[i] = e[i] * c                                 and +0 from n to the next multiple of 4
//
// SwiGlu(g, u, n, y), where y may be g or u
//     y[i] = (g[i] / (1 + Exp(-g[i]))) * u[i]
//
// Add(x, n, y)
//     y[i] = y[i] + x[i]
//
// Attention is two of these products with a softmax between, over the KV cache as tiles:
// core/attention.h, and core/kv_append.h for how the cache is written. A changed order raises
// kContractVersion; an operation more changes no bit of the others and does not.
//
// Where attention meets a value that is not finite, one thing is left open: a token's product with
// V may read columns that it does not see, times +0, and so take over their NaN or infinity. These
// are the columns of tokens after it in its batch, and where there is a window those from the
// multiple of 16 at or before the window of the batch's first token.
#ifndef TVL_CORE_KERNEL_H_
#define TVL_CORE_KERNEL_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/activations.h"
#include "core/compiler_check.h"
#include "core/tensor_view.h"
#include "core/tile.h"

namespace tvl {

// Hashed into every fingerprint.
inline constexpr uint32_t kContractVersion = 1;

template <typename K, WeightType W>
concept GemvKernel = requires(const TileMatrix& w, PanelRange panels, const RowsFor<W>& x,
                              float* y) {
  { K::template Gemv<W>(w, panels, x, y) }
  noexcept->std::same_as<void>;
};

template <typename K, WeightType W>
concept GemmKernel = requires(const TileMatrix& w, PanelRange panels, const RowsFor<W>& x,
                              size_t tokens, float* y, size_t y_stride) {
  { K::template Gemm<W>(w, panels, x, tokens, y, y_stride) }
  noexcept->std::same_as<void>;
};

template <typename K, WeightType W>
concept EmbedRowKernel = requires(const TileMatrix& w, size_t row, float* out) {
  { K::template EmbedRow<W>(w, row, out) }
  noexcept->std::same_as<void>;
};

template <typename K>
concept QuantizeKernel = requires(const float* x, size_t n, const QuantizedRows& out) {
  { K::QuantizeActivations(x, n, out) }
  noexcept->std::same_as<void>;
};

template <typename K>
concept RoundKernel = requires(const float* x, size_t n, uint16_t* out) {
  { K::RoundToF16(x, n, out) }
  noexcept->std::same_as<void>;
};

template <typename K>
concept ScaleKernel = requires(const float* x, const uint16_t* scales, size_t n, float* y) {
  { K::ScaleByF16(x, scales, n, y) }
  noexcept->std::same_as<void>;
};

template <typename K>
concept RmsNormKernel = requires(const float* x, size_t n, float epsilon, float* y) {
  { K::RmsNorm(x, x, n, epsilon, y) }
  noexcept->std::same_as<void>;
};

template <typename K>
concept RopeKernel = requires(const float* x, size_t dims, float* y) {
  { K::Rope(x, x, x, dims, y) }
  noexcept->std::same_as<void>;
};

template <typename K>
concept SoftmaxKernel = requires(float* s, size_t n, float scale) {
  { K::Softmax(s, n, scale) }
  noexcept->std::same_as<void>;
};

template <typename K>
concept SwiGluKernel = requires(const float* g, const float* u, size_t n, float* y) {
  { K::SwiGlu(g, u, n, y) }
  noexcept->std::same_as<void>;
};

template <typename K>
concept AddKernel = requires(const float* x, size_t n, float* y) {
  { K::Add(x, n, y) }
  noexcept->std::same_as<void>;
};

// The products with one type of matrix.
template <typename K, WeightType W>
concept ProductKernel = GemvKernel<K, W> && GemmKernel<K, W>;

// Every operation for one weight type.
template <typename K, WeightType W>
concept WeightKernel = ProductKernel<K, W> && EmbedRowKernel<K, W>;

constexpr bool IsBatch(size_t rows) { return 1 <= rows && rows <= 16; }
template <typename K>
concept BatchedKernel = IsBatch(K::kFloatBatch) && IsBatch(K::kQuantBatch);

// A complete backend. kName is what `tvl --version` prints.
template <typename K>
concept Kernel = requires {
  { K::kName } -> std::convertible_to<std::string_view>;
}
&&BatchedKernel<K>&& WeightKernel<K, WeightType::kF32>&& WeightKernel<K, WeightType::kF16>&&
    WeightKernel<K, WeightType::kBF16>&& WeightKernel<K, WeightType::kQ8>&&
        WeightKernel<K, WeightType::kQ4>&& WeightKernel<K, WeightType::kQ4M>&&
            WeightKernel<K, WeightType::kQ4K>&& WeightKernel<K, WeightType::kQ5K>&&
                WeightKernel<K, WeightType::kQ6K>&& ProductKernel<K, WeightType::kI8>&&
                    QuantizeKernel<K>&& RoundKernel<K>&& ScaleKernel<K>&& RmsNormKernel<K>&&
                        RopeKernel<K>&& SoftmaxKernel<K>&& SwiGluKernel<K>&& AddKernel<K>;

// The one switch from a weight type that is data to a kernel that is code: calls f<W>() with W ==
// type.
template <typename F>
void WithWeightType(WeightType type, F&& f) noexcept {
  switch (type) {
    case WeightType::kF32:
      return f.template operator()<WeightType::kF32>();
    case WeightType::kF16:
      return f.template operator()<WeightType::kF16>();
    case WeightType::kBF16:
      return f.template operator()<WeightType::kBF16>();
    case WeightType::kQ8:
      return f.template operator()<WeightType::kQ8>();
    case WeightType::kQ4:
      return f.template operator()<WeightType::kQ4>();
    case WeightType::kQ4M:
      return f.template operator()<WeightType::kQ4M>();
    case WeightType::kQ4K:
      return f.template operator()<WeightType::kQ4K>();
    case WeightType::kQ5K:
      return f.template operator()<WeightType::kQ5K>();
    case WeightType::kQ6K:
      return f.template operator()<WeightType::kQ6K>();
    case WeightType::kI8:
      return f.template operator()<WeightType::kI8>();
  }
}

// REQUIRES: x has the form that w's type takes.
template <typename K>
void Gemv(const TileMatrix& w, PanelRange panels, const Activations& x, float* y) noexcept {
  WithWeightType(w.type, [&]<WeightType W>() { K::template Gemv<W>(w, panels, x.For<W>(), y); });
}

// x: one row as it is, several in batches of K.
template <typename K>
void Gemm(const TileMatrix& w, PanelRange panels, const Activations& x, size_t tokens, float* y,
          size_t y_stride) noexcept {
  if (tokens == 1) return tvl::Gemv<K>(w, panels, x, y);
  WithWeightType(w.type, [&]<WeightType W>() {
    K::template Gemm<W>(w, panels, x.For<W>(), tokens, y, y_stride);
  });
}

template <typename K>
void EmbedRow(const TileMatrix& w, size_t row, float* out) noexcept {
  WithWeightType(w.type, [&]<WeightType W>() {
    if constexpr (W != WeightType::kI8) K::template EmbedRow<W>(w, row, out);
  });
}

}  // namespace tvl

#endif  // TVL_CORE_KERNEL_H_
