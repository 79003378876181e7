#include "backends/neon_handwritten/gemm_block.h"

#include <arm_neon.h>

#include <cstddef>

#include "backends/neon_handwritten/panel_sums.h"
#include "backends/neon_handwritten/unroll.h"

namespace tvl::neon {
namespace {

// One pass: the lines kChain, kChain + 4 ... of the block, for kTokens tokens. Not inlined, because
// four passes in one function share one allocation of registers, in which gcc finds a reason to
// spill.
template <size_t kTokens, size_t kChain>
[[gnu::noinline]] void AddChain(const float* __restrict w, size_t steps, const float* __restrict x,
                                size_t x_stride, float* __restrict sums, const std::byte* ahead) {
  float32x4_t sum[kTokens][kRowRegisters];
  const float* xt[kTokens];
  Unroll<kTokens>([&](auto t) __attribute__((always_inline)) {
    xt[t] = x + t * x_stride;
    Unroll<kRowRegisters>([&](auto r) __attribute__((always_inline)) {
      sum[t][r] = vld1q_f32(sums + t * kTokenSums + kChain * kPanelRows + r * kLanes);
    });
  });
  const float* line = w + kChain * kPanelRows;
  ahead += kChain * steps * kLineBytes;
  for (size_t k = 0; k < steps * kDotChains; k += kDotChains) {
    __builtin_prefetch(ahead, 0, 2);
    ahead += kLineBytes;
    float32x4_t w4[kRowRegisters];
    Unroll<kRowRegisters>([&](auto r) __attribute__((always_inline)) {
      w4[r] = vld1q_f32(line + r * kLanes);
    });
    line += kDotChains * kPanelRows;
    Unroll<kTokens>([&](auto t) __attribute__((always_inline)) {
      // As PanelSums::LoadAfter. With 6 tokens 28 registers are taken: no more than 2 inputs may be
      // under way. Left alone, gcc loads all 6 first and spills three sums in every step.
      const float*& xk = xt[t];
      if constexpr (t >= 2) {
        const float32x4_t(&done)[kRowRegisters] = sum[t - 2];
        asm("" : "+r"(xk) : "w"(done[0]), "w"(done[1]), "w"(done[2]), "w"(done[3]));
      }
      const float32x4_t x4 = vld1q_f32(xk + k);
      Unroll<kRowRegisters>([&](auto r) __attribute__((always_inline)) {
        sum[t][r] = vfmaq_laneq_f32(sum[t][r], w4[r], x4, kChain);
      });
    });
  }
  Unroll<kTokens>([&](auto t) __attribute__((always_inline)) {
    Unroll<kRowRegisters>([&](auto r) __attribute__((always_inline)) {
      vst1q_f32(sums + t * kTokenSums + kChain * kPanelRows + r * kLanes, sum[t][r]);
    });
  });
}

template <size_t kTokens>
void AddChains(const float* w, size_t steps, const float* x, size_t x_stride, float* sums,
               const std::byte* ahead) {
  Unroll<kDotChains>([&](auto chain) __attribute__((always_inline)) {
    AddChain<kTokens, chain>(w, steps, x, x_stride, sums, ahead);
  });
}

}  // namespace

void AddBlock(const float* w, size_t steps, const float* x, size_t x_stride, size_t tokens,
              float* sums, const std::byte* ahead) noexcept {
  using Pass = void (*)(const float*, size_t, const float*, size_t, float*, const std::byte*);
  static constexpr Pass kPasses[kPassTokens] = {AddChains<1>, AddChains<2>, AddChains<3>,
                                                AddChains<4>, AddChains<5>, AddChains<6>};
  SplitEvenly(tokens, kPassTokens, [&](size_t begin, size_t size) {
    kPasses[size - 1](w, steps, x + begin * x_stride, x_stride, sums + begin * kTokenSums, ahead);
  });
}

void StoreDots(const float* sums, size_t tokens, size_t rows, float* y, size_t y_stride) noexcept {
  for (size_t t = 0; t < tokens; ++t, sums += kTokenSums, y += y_stride) {
    PanelSums panel;
    Unroll<kDotChains>([&](auto c) __attribute__((always_inline)) {
      Unroll<kRowRegisters>([&](auto r) __attribute__((always_inline)) {
        panel.chain[c][r] = vld1q_f32(sums + c * kPanelRows + r * kLanes);
      });
    });
    panel.Store(rows, y);
  }
}

}  // namespace tvl::neon
