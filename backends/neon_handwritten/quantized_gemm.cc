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
// Modelled (tools/bench/cost_model), a superblock of a pass, 2048 products, takes a Neoverse N1 88
// cycles in q8 and q4 and 106 in q4m, of which 64 are SDOT; a V1 34 and 44 by SMMLA, 44 and 53 by
// SDOT. Vector pipes are busy throughout.
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

#include "backends/neon_handwritten/block_sums.h"
#include "backends/neon_handwritten/gemm_block.h"
#include "backends/neon_handwritten/neon_handwritten.h"
#include "backends/neon_handwritten/panel_sums.h"
#include "backends/neon_handwritten/quantized_panels.h"
#include "backends/neon_handwritten/unroll.h"

namespace tvl::neon {

#ifdef __ARM_FEATURE_DOTPROD

namespace {

constexpr size_t kTokens = NeonHandwritten::kQuantBatch;
static_assert(kTokens == 4);
constexpr size_t kGroupBatches = 16;
constexpr size_t kChunkSuperblocks = 8;
constexpr size_t kHalves = 2;
constexpr size_t kBlocks = kSuperblock / kQuantBlock;
constexpr size_t kRegisterBytes = 16;

// The sums of a pass: register kRowParts * t + r is part r of the rows with part t of the tokens.
//
// A step is what one register of weights holds of K:
//   kStepInputs   of how many inputs
//   StepInputs    those of four tokens; Add<t>(w, sum) adds the products with part t of them
//   TokenFactors  four tokens' numbers, each to be multiplied with what belongs to its token
#ifdef __ARM_FEATURE_MATMUL_INT8

// A part is two rows or two tokens, a register r0t0 r0t1 r1t0 r1t1.
constexpr size_t kRowParts = 4;
constexpr size_t kTokenParts = 2;
constexpr size_t kStepInputs = 8;

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
constexpr size_t kRowParts = 2;
constexpr size_t kTokenParts = 4;
constexpr size_t kStepInputs = 4;

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

constexpr size_t kPassRegisters = kRowParts * kTokenParts;
static_assert(kPassRegisters == 8);
constexpr size_t kPassSums = kPassRegisters * kLanes;
constexpr size_t kBatchSums = kHalves * kPassSums;
constexpr size_t kHalfRegisters = kRowRegisters / kHalves;

// An integer sum starts from the bits of 1.5 * 2^23, and what those have become as a float, less
// 1.5 * 2^23, is the sum, exactly: it is below 2^22. SCVTF would cost a Neoverse N1 or V1 two
// cycles of one pipe. The start is loaded, not moved between registers, because vector pipes are
// the limit and load pipes are not.
constexpr float kBias = 12582912;
alignas(kLineBytes) constexpr auto kStart = [] {
  std::array<int32_t, kPassSums> start = {};
  start.fill(0x4b400000);
  return start;
}();

// A chunk of weights as passes take it.
struct Chunk {
  // Superblocks of 64 / kStepInputs steps, which are all rows' registers, kHalves * kRowParts.
  const int8_t* quants;
  size_t superblock_bytes;  // from one's quants to the next one's
  // (superblocks, kHalves, 1 or 2, kBlocks, kRowParts, 4): scales, and (q4m) minima.
  const float* factors;
  size_t superblocks;
};

// What a pass reads, from the superblock at hand on.
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

// One pass: sums += the products of half of the rows of a chunk with the batch x. Not inlined, so
// that it has the registers to itself.
template <bool kMinima>
[[gnu::noinline]] void AddChunk(const Chunk& chunk, size_t half, const QuantizedRows& x,
                                float* sums) {
  constexpr size_t kSteps = kQuantBlock / kStepInputs;
  constexpr size_t kStepBytes = kHalves * kRowParts * kRegisterBytes;
  constexpr size_t kBlockFactors = kRowParts * kLanes;
  constexpr size_t kHalfFactors = kBlocks * kBlockFactors * (kMinima ? 2 : 1);
  PassInputs in = {.start = kStart.data(),
                   .quants = chunk.quants + half * kRowParts * kRegisterBytes,
                   .inputs = x.quants,
                   .factors = chunk.factors + half * kHalfFactors,
                   .scales = x.scales,
                   .sums = x.sums};
  const size_t superblock_bytes = chunk.superblock_bytes;
  float32x4_t bias = vdupq_n_f32(kBias);
  asm("" : "+w"(bias));  // a number in a register, not one to be made anew where it is used

  float32x4_t dots[kPassRegisters];
  Unroll<kPassRegisters>([&](auto i) __attribute__((always_inline)) {
    dots[i] = vld1q_f32(sums + i * kLanes);
  });
  for (size_t superblock = 0; superblock < chunk.superblocks; ++superblock) {
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
      const TokenFactors scale(vld1q_f32(in.scales + block * kTokens));
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
    in.quants += superblock_bytes;
    in.inputs += kSuperblock * kTokens;
    in.factors += kHalves * kHalfFactors;
    in.scales += kBlocks * kTokens;
    in.sums += kBlocks * kTokens;
  }
  Unroll<kPassRegisters>([&](auto i) __attribute__((always_inline)) {
    vst1q_f32(sums + i * kLanes, dots[i]);
  });
}

// A chunk of weights made ready for passes: quants apart and, for SMMLA, in pairs of rows by 8
// inputs; scales and minima widened, each for every number of a sum's register. The quants of q8
// are taken by SDOT as they are.
template <WeightType W>
class ReadyWeights {
 public:
  static constexpr bool kInPlace = W == WeightType::kQ8 && kStepInputs == 4;

  // superblock: the first one's first line.
  Chunk Make(const std::byte* superblock, size_t superblocks) {
    const std::byte* first = superblock;
    float* factors = factors_;
    for (size_t i = 0; i < superblocks; ++i, superblock += kSuperblockBytes<W>) {
      if constexpr (!kInPlace) MakeQuants(superblock, quants_ + i * kQuants);
      factors = MakeFactors(superblock, factors);
    }
    if constexpr (kInPlace) {
      return {reinterpret_cast<const int8_t*>(first), kSuperblockBytes<W>, factors_, superblocks};
    } else {
      return {quants_, kQuants, factors_, superblocks};
    }
  }

 private:
  static constexpr size_t kQuants = kSuperblock * kPanelRows;
  static constexpr size_t kFactors =
      kHalves * kBlocks * kRowParts * kLanes * (W == WeightType::kQ4M ? 2 : 1);

  static void MakeQuants(const std::byte* line, int8_t* out) {
    constexpr size_t kPairBytes = (W == WeightType::kQ8 ? 2 : 1) * kLineBytes;  // of 8 inputs
    for (size_t k = 0; k < kSuperblock; k += 8, line += kPairBytes, out += 8 * kPanelRows) {
      Unroll<kRowRegisters>([&](auto r) __attribute__((always_inline)) {
        QuadPair pair = LoadQuads<W>(line, r);
        if constexpr (W == WeightType::kQ4) {
          pair = {vsubq_s8(pair.even, vdupq_n_s8(8)), vsubq_s8(pair.odd, vdupq_n_s8(8))};
        }
        if constexpr (kStepInputs == 4) {
          vst1q_s8(out + r * kRegisterBytes, pair.even);
          vst1q_s8(out + kLineBytes + r * kRegisterBytes, pair.odd);
        } else {
          const int32x4_t even = vreinterpretq_s32_s8(pair.even);
          const int32x4_t odd = vreinterpretq_s32_s8(pair.odd);
          int8_t* rows = out + 2 * r * kRegisterBytes;
          vst1q_s8(rows, vreinterpretq_s8_s32(vzip1q_s32(even, odd)));
          vst1q_s8(rows + kRegisterBytes, vreinterpretq_s8_s32(vzip2q_s32(even, odd)));
        }
      });
    }
  }

  // Returns where the next superblock's factors begin.
  static float* MakeFactors(const std::byte* superblock, float* out) {
    for (size_t row = 0; row < kPanelRows; row += kPanelRows / kHalves) {
      for (size_t k = 0; k < kSuperblock; k += kQuantBlock)
        out = Widen(WideEight(superblock, TileIndexScale(W, row, k)), out);
      if constexpr (W == WeightType::kQ4M) {
        for (size_t k = 0; k < kSuperblock; k += kQuantBlock)
          out = Widen(WideEight(superblock, TileIndexMinimum(row, k)), out);
      }
    }
    return out;
  }

  // The numbers of eight rows.
  static float* Widen(const WideEight& rows, float* out) {
    for (const float32x4_t four : {rows.low, rows.high}) {
      if constexpr (kRowParts == kHalfRegisters) {
        vst1q_f32(out, four);
        out += kLanes;
      } else {
        vst1q_f32(out, vzip1q_f32(four, four));
        vst1q_f32(out + kLanes, vzip2q_f32(four, four));
        out += 2 * kLanes;
      }
    }
    return out;
  }

  alignas(kLineBytes) int8_t quants_[kInPlace ? 1 : kChunkSuperblocks * kQuants];
  alignas(kLineBytes) float factors_[kChunkSuperblocks * kFactors];
};

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
      SplitEvenly(superblocks, kChunkSuperblocks, [&](size_t begin, size_t count) {
        const std::byte* chunk_begin = panel + begin * kSuperblockBytes<W>;
        const size_t chunk_bytes = count * kSuperblockBytes<W>;
        const Chunk chunk = ready.Make(chunk_begin, count);
        ChunkAhead ahead(begin + count < superblocks ? chunk_begin + chunk_bytes : after,
                         chunk_bytes, size * kHalves);
        for (size_t b = 0; b < size; ++b) {
          QuantizedRows batch = x.From((first + b) * kTokens);
          batch.quants += begin * kSuperblock * kTokens;
          batch.scales += begin * kBlocks * kTokens;
          batch.sums += begin * kBlocks * kTokens;
          for (size_t half = 0; half < kHalves; ++half) {
            ahead.PrefetchShare();
            AddChunk<W == WeightType::kQ4M>(chunk, half, batch,
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
  for (size_t p = panels.begin; p < panels.end; ++p) {
    for (size_t t = 0; t < tokens; ++t) PanelDots<W>(w, panels, p, x.From(t), y + t * y_stride);
  }
}

#endif  // __ARM_FEATURE_DOTPROD

#define TVL_INSTANTIATE(W)                                                                    \
  template void QuantizedGemm<W>(const TileMatrix&, PanelRange, const QuantizedRows&, size_t, \
                                 float*, size_t) noexcept
TVL_INSTANTIATE(WeightType::kQ8);
TVL_INSTANTIATE(WeightType::kQ4);
TVL_INSTANTIATE(WeightType::kQ4M);
#undef TVL_INSTANTIATE

}  // namespace tvl::neon
