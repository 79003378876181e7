// Where there is SDOT or SMMLA:
//
//   for each panel                          its weights come from DRAM once
//     for each group of up to 64 tokens
//       for each chunk of up to 512 inputs  made ready in L1, once for the group: ReadyWeights
//         for each batch of 4 tokens
//           for each half of the panel      a pass: 8 rows x 4 tokens
//
// A pass keeps 8 integer and 8 float sums in registers. All 16 rows at once would leave no room for
// the float sums, which would go to memory and back in every block: modelled, a Neoverse N1 would
// take 104 cycles where it takes 88. A register of activations is a quad of inputs of each of 4
// tokens, from which SDOT takes a lane and SMMLA's operands are zipped.
//
// Modelled (tools/bench/cost_model), 64 inputs of a pass, 2048 products, take a Neoverse N1 88
// cycles in q8 and q4, 106 in q4m, q4k and q5k, and 112 in q6k, which has two scales where q8 has
// one; of these 64 are SDOT. They take a V1 34, 44 and 47 by SMMLA, 44, 53 and 56 by SDOT. Vector
// pipes are busy throughout.
//
// Of the last batch all four tokens are computed: its memory is whole, and no lane sees another.
// Two tokens cost what four do, and making ready, about 110 cycles for a superblock of q4 on N1, is
// shared by few.
#include "backends/neon_handwritten/quantized_gemm.h"

#include <arm_neon.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "backends/neon_handwritten/gemm_block.h"
#include "backends/neon_handwritten/k_quant_panels.h"
#include "backends/neon_handwritten/panel_sums.h"
#include "backends/neon_handwritten/quantized_panels.h"
#include "backends/neon_handwritten/quantized_steps.h"
#include "backends/neon_handwritten/ready_weights.h"
#include "backends/neon_handwritten/unroll.h"
#include "backends/neon_handwritten/wide_eight.h"

namespace tvl::neon {

#ifdef __ARM_FEATURE_DOTPROD

namespace {

constexpr size_t kGroupBatches = 16;
constexpr size_t kPassRegisters = kRowParts * kTokenParts;
static_assert(kPassRegisters == 8);
constexpr size_t kPassSums = kPassRegisters * kLanes;
constexpr size_t kBatchSums = kHalves * kPassSums;

// An integer sum starts from kBiasBits, and what those have become as a float, less kBias, is the
// sum. The start is loaded, not moved between registers, because vector pipes are the limit and
// load pipes are not.
alignas(kLineBytes) constexpr auto kStart = [] {
  std::array<int32_t, kPassSums> start = {};
  start.fill(kBiasBits);
  return start;
}();

// What a pass reads, from the span at hand on.
class PassInputs {
 public:
  const int32_t* start;
  const int8_t* quants;
  const int8_t* inputs;
  const float* factors;  // of the weights
  const float* scales;   // of the inputs
  const int32_t* sums;   // of the inputs

  // These emit no instruction. As PanelSums::LoadAfter: what is read from here on is read after the
  // 8 sums of the pass were computed. Beside 16 registers of sums, what compilers load early is
  // soon too much. (The sums are operands of one asm at a time, and not written by it: otherwise
  // gcc copies them.)
  template <typename V>
  [[gnu::always_inline]] void StepsAfter(const V (&v)[kPassRegisters]) {
    asm(""
        : "+r"(start), "+r"(quants), "+r"(inputs)
        : "w"(v[0]), "w"(v[1]), "w"(v[2]), "w"(v[3]), "w"(v[4]), "w"(v[5]), "w"(v[6]), "w"(v[7]));
  }
  template <typename V>
  [[gnu::always_inline]] void FactorsAfter(const V (&v)[kPassRegisters]) {
    asm(""
        : "+r"(factors), "+r"(scales), "+r"(sums)
        : "w"(v[0]), "w"(v[1]), "w"(v[2]), "w"(v[3]), "w"(v[4]), "w"(v[5]), "w"(v[6]), "w"(v[7]));
  }
};

// One pass: sums += the products of half of the rows of a chunk with the batch x. kBlock: the
// inputs that share a scale. Not inlined, so that it has the registers to itself.
template <bool kMinima, size_t kBlock>
[[gnu::noinline]] void AddChunk(const Chunk& chunk, size_t half, const QuantizedRows& x,
                                float* sums) {
  constexpr size_t kBlocks = kSpan / kBlock;
  constexpr size_t kSteps = kBlock / kStepInputs;
  constexpr size_t kStepBytes = kHalves * kRowParts * kRegisterBytes;
  constexpr size_t kBlockFactors = kRowParts * kLanes;
  constexpr size_t kHalfFactors = kBlocks * kBlockFactors * (kMinima ? 2 : 1);
  PassInputs in = {.start = kStart.data(),
                   .quants = chunk.quants + half * kRowParts * kRegisterBytes,
                   .inputs = x.quants,
                   .factors = chunk.factors + half * kHalfFactors,
                   .scales = x.scales,
                   .sums = x.sums};
  const size_t span_bytes = chunk.span_bytes;
  float32x4_t bias = vdupq_n_f32(kBias);
  asm("" : "+w"(bias));  // a number in a register, not one to be made anew where it is used

  float32x4_t dots[kPassRegisters];
  Unroll<kPassRegisters>([&](auto i) __attribute__((always_inline)) {
    dots[i] = vld1q_f32(sums + i * kLanes);
  });
  for (size_t span = 0; span < chunk.spans; ++span) {
    Unroll<kBlocks>([&](auto block) __attribute__((always_inline)) {
      in.StepsAfter(dots);  // which also hides from the compiler that `start` is constant
      int32x4_t s[kPassRegisters];
      Unroll<kPassRegisters>([&](auto i) __attribute__((always_inline)) {
        s[i] = vld1q_s32(in.start + i * kLanes);
      });
      Unroll<kSteps>([&](auto i) __attribute__((always_inline)) {
        constexpr size_t kStep = block * kSteps + i;
        const StepInputs inputs(in.inputs + kStep * kStepInputs * kTokens);
        Unroll<kRowParts>([&](auto r) __attribute__((always_inline)) {
          const int8x16_t w = vld1q_s8(in.quants + kStep * kStepBytes + r * kRegisterBytes);
          Unroll<kTokenParts>([&](auto t) __attribute__((always_inline)) {
            constexpr size_t kAt = t * kRowParts + r;
            s[kAt] = inputs.template Add<t>(w, s[kAt]);
          });
        });
        if constexpr (i + 1 < kSteps) {
          in.StepsAfter(s);
        } else {
          in.FactorsAfter(s);
        }
      });
      const TokenFactors scale(vld1q_f32(in.scales + block * kBlock / kQuantBlock * kTokens));
      Unroll<kRowParts>([&](auto r) __attribute__((always_inline)) {
        const float32x4_t w = vld1q_f32(in.factors + block * kBlockFactors + r * kLanes);
        Unroll<kTokenParts>([&](auto t) __attribute__((always_inline)) {
          constexpr size_t kAt = t * kRowParts + r;
          const float32x4_t sum = vsubq_f32(vreinterpretq_f32_s32(s[kAt]), bias);
          dots[kAt] = vfmaq_f32(dots[kAt], sum, scale.template Mul<t>(w));
        });
        if constexpr ((r + 1) % (kRowParts / 2) == 0) in.FactorsAfter(dots);
      });
      if constexpr (kMinima) {
        static_assert(kBlock == kQuantBlock);
        const TokenFactors sum(vcvtq_f32_s32(vld1q_s32(in.sums + block * kTokens)));
        Unroll<kRowParts>([&](auto r) __attribute__((always_inline)) {
          const float32x4_t w =
              vld1q_f32(in.factors + (kBlocks + block) * kBlockFactors + r * kLanes);
          Unroll<kTokenParts>([&](auto t) __attribute__((always_inline)) {
            constexpr size_t kAt = t * kRowParts + r;
            dots[kAt] = sum.template MulAdd<t>(scale.template Mul<t>(w), dots[kAt]);
          });
          if constexpr ((r + 1) % (kRowParts / 2) == 0) in.FactorsAfter(dots);
        });
      }
    });
    in.quants += span_bytes;
    in.inputs += kSpan * kTokens;
    in.factors += kHalves * kHalfFactors;
    in.scales += kSpan / kQuantBlock * kTokens;
    in.sums += kSpan / kQuantBlock * kTokens;
  }
  Unroll<kPassRegisters>([&](auto i) __attribute__((always_inline)) {
    vst1q_f32(sums + i * kLanes, dots[i]);
  });
}

// Asks for the chunk that comes next, a share of it with every pass.
class ChunkAhead {
 public:
  ChunkAhead(const std::byte* next, size_t bytes, size_t passes)
      : next_(next), end_(next + bytes), share_(RoundUp(bytes / kLineBytes, passes) / passes) {}

  void PrefetchShare() {
    for (size_t i = 0; i < share_ && next_ != end_; ++i, next_ += kLineBytes)
      __builtin_prefetch(next_, 0, 3);
  }

 private:
  const std::byte* next_;
  const std::byte* end_;
  size_t share_;
};

// The dots of the first `rows` rows and `tokens` tokens of a batch.
void StoreBatch(const float* sums, size_t rows, size_t tokens, float* y, size_t y_stride) {
  for (size_t t = 0; t < tokens; ++t, y += y_stride) {
    float all[kPanelRows];
    float* out = rows == kPanelRows ? y : all;
    Unroll<kRowRegisters>([&](auto r) __attribute__((always_inline)) {
      constexpr size_t kFirst = r / kHalfRegisters * kPassSums +
                                r % kHalfRegisters * (kRowParts / kHalfRegisters) * kLanes;
      vst1q_f32(out + r * kLanes, FourRows(sums + kFirst, t));
    });
    if (out == all) std::copy_n(all, rows, y);
  }
}

}  // namespace

template <WeightType W>
void QuantizedGemm(const TileMatrix& w, PanelRange panels, const QuantizedRows& x, size_t tokens,
                   float* y, size_t y_stride) noexcept {
  const size_t bytes = PanelBytes(W, w.cols);
  const size_t superblocks = bytes / kSuperblockBytes<W>;
  const size_t batches = (tokens + kTokens - 1) / kTokens;
  ReadyWeights<W> ready;
  alignas(kLineBytes) float sums[kGroupBatches * kBatchSums];
  for (size_t p = panels.begin; p < panels.end; ++p) {
    const std::byte* panel = w.Panel(p);
    SplitEvenly(batches, kGroupBatches, [&](size_t first, size_t size) {
      std::memset(sums, 0, size * kBatchSums * sizeof(float));
      const std::byte* after = first + size < batches ? panel : FollowingPanel(w, panels, p, bytes);
      SplitEvenly(superblocks, kChunkSuperblocks<W>, [&](size_t begin, size_t count) {
        const std::byte* chunk_begin = panel + begin * kSuperblockBytes<W>;
        const size_t chunk_bytes = count * kSuperblockBytes<W>;
        const Chunk chunk = ready.Make(chunk_begin, count);
        ChunkAhead ahead(begin + count < superblocks ? chunk_begin + chunk_bytes : after,
                         chunk_bytes, size * kHalves);
        for (size_t b = 0; b < size; ++b) {
          QuantizedRows batch = x.From((first + b) * kTokens);
          batch.quants += begin * SuperblockCols(W) * kTokens;
          batch.scales += begin * (SuperblockCols(W) / kQuantBlock) * kTokens;
          batch.sums += begin * (SuperblockCols(W) / kQuantBlock) * kTokens;
          for (size_t half = 0; half < kHalves; ++half) {
            ahead.PrefetchShare();
            AddChunk<HasMinima(W), ScaleBlock(W)>(chunk, half, batch,
                                                  sums + b * kBatchSums + half * kPassSums);
          }
        }
      });
      for (size_t b = 0; b < size; ++b) {
        const size_t t = (first + b) * kTokens;
        StoreBatch(sums + b * kBatchSums, w.RowsOfPanel(p), std::min(kTokens, tokens - t),
                   y + t * y_stride + p * kPanelRows, y_stride);
      }
    });
  }
}

#else

// Without SDOT the limit are the multiplications, which a second token does not share.
template <WeightType W>
void QuantizedGemm(const TileMatrix& w, PanelRange panels, const QuantizedRows& x, size_t tokens,
                   float* y, size_t y_stride) noexcept {
  if constexpr (IsKQuant(W)) {
    KConstants<W> constants;
    for (size_t p = panels.begin; p < panels.end; ++p) {
      for (size_t t = 0; t < tokens; ++t)
        KPanelDots<W>(w, panels, p, x.From(t), constants, y + t * y_stride);
    }
  } else {
    for (size_t p = panels.begin; p < panels.end; ++p) {
      for (size_t t = 0; t < tokens; ++t) PanelDots<W>(w, panels, p, x.From(t), y + t * y_stride);
    }
  }
}

#endif  // __ARM_FEATURE_DOTPROD

#define TVL_INSTANTIATE(W)                                                                    \
  template void QuantizedGemm<W>(const TileMatrix&, PanelRange, const QuantizedRows&, size_t, \
                                 float*, size_t) noexcept
TVL_INSTANTIATE(WeightType::kQ8);
TVL_INSTANTIATE(WeightType::kQ4);
TVL_INSTANTIATE(WeightType::kQ4M);
TVL_INSTANTIATE(WeightType::kQ4K);
TVL_INSTANTIATE(WeightType::kQ5K);
TVL_INSTANTIATE(WeightType::kQ6K);
#undef TVL_INSTANTIATE

}  // namespace tvl::neon
