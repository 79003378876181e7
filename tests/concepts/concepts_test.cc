// What the concepts accept and refuse: proved by the compiler, so a test that builds has passed.
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "backends/scalar_reference/scalar_reference.h"
#include "backends/selected.h"
#include "core/activations.h"
#include "core/kernel.h"
#include "core/model_config.h"
#include "core/model_view.h"
#include "core/sampler.h"
#include "core/tensor_view.h"
#include "core/tile.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "samplers/greedy.h"
#include "samplers/standard_chain.h"
#include "samplers/temperature.h"

namespace tvl {
namespace {

enum class Op {
  kNone,
  kName,
  kGemv,
  kGemm,
  kEmbedRow,
  kQuantize,
  kRound,
  kScale,
  kRmsNorm,
  kRope,
  kSoftmax,
  kSwiGlu,
  kAdd
};

template <Op kMissing>
struct Name {
  static constexpr std::string_view kName = "partial";
};
template <>
struct Name<Op::kName> {};

// A backend without one operation (and, for those of weights, without it for one type).
template <Op kMissing, WeightType kMissingType = WeightType::kF32>
struct Partial : Name<kMissing> {
  static constexpr size_t kFloatBatch = 1;
  static constexpr size_t kQuantBatch = 16;
  template <WeightType W>
  static void Gemv(const TileMatrix&, PanelRange, const RowsFor<W>&, float*) noexcept
      requires(kMissing != Op::kGemv || W != kMissingType);
  template <WeightType W>
  static void Gemm(const TileMatrix&, PanelRange, const RowsFor<W>&, size_t, float*,
                   size_t) noexcept requires(kMissing != Op::kGemm || W != kMissingType);
  template <WeightType W>
  static void EmbedRow(const TileMatrix&, size_t, float*) noexcept
      requires(kMissing != Op::kEmbedRow || W != kMissingType);
  static void QuantizeActivations(const float*, size_t, const QuantizedRows&) noexcept
      requires(kMissing != Op::kQuantize);
  static void RoundToF16(const float*, size_t, uint16_t*) noexcept requires(kMissing != Op::kRound);
  static void ScaleByF16(const float*, const uint16_t*, size_t, float*) noexcept
      requires(kMissing != Op::kScale);
  static void RmsNorm(const float*, const float*, size_t, float, float*) noexcept
      requires(kMissing != Op::kRmsNorm);
  static void Rope(const float*, const float*, const float*, size_t, float*) noexcept
      requires(kMissing != Op::kRope);
  static void Softmax(float*, size_t, float) noexcept requires(kMissing != Op::kSoftmax);
  static void SwiGlu(const float*, const float*, size_t, float*) noexcept
      requires(kMissing != Op::kSwiGlu);
  static void Add(const float*, size_t, float*) noexcept requires(kMissing != Op::kAdd);
};

// Which sub-concepts K satisfies, one bit each: three for each weight type in the order of
// kWeightTypes, then the others.
template <typename K>
constexpr uint64_t Satisfied() {
  uint64_t mask = 0;
  unsigned bit = 0;
  const auto add = [&](bool satisfied) { mask |= uint64_t{satisfied} << bit++; };
  [&]<size_t... I>(std::index_sequence<I...>) {
    const auto add_type = [&]<WeightType W>() {
      add(GemvKernel<K, W>);
      add(GemmKernel<K, W>);
      add(EmbedRowKernel<K, W>);
    };
    (add_type.template operator()<kWeightTypes[I]>(), ...);
  }
  (std::make_index_sequence<std::size(kWeightTypes)>{});
  for (const bool satisfied : {QuantizeKernel<K>, RoundKernel<K>, ScaleKernel<K>, RmsNormKernel<K>,
                               RopeKernel<K>, SoftmaxKernel<K>, SwiGluKernel<K>, AddKernel<K>})
    add(satisfied);
  return mask;
}

constexpr unsigned kQuantizeBit = 3 * std::size(kWeightTypes);
constexpr unsigned kRoundBit = kQuantizeBit + 1, kScaleBit = kQuantizeBit + 2,
                   kRmsNormBit = kQuantizeBit + 3, kRopeBit = kQuantizeBit + 4,
                   kSoftmaxBit = kQuantizeBit + 5, kSwiGluBit = kQuantizeBit + 6,
                   kAddBit = kQuantizeBit + 7;
constexpr uint64_t kAll = (uint64_t{2} << kAddBit) - 1;

// Not a kernel, and of the sub-concepts only number `bit` says so.
template <typename K>
constexpr bool FailsOnly(unsigned bit) {
  return !Kernel<K> && Satisfied<K>() == (kAll & ~(uint64_t{1} << bit));
}

static_assert(Kernel<Partial<Op::kNone>> && Satisfied<Partial<Op::kNone>>() == kAll);
static_assert([]<size_t... I>(std::index_sequence<I...>) {
  return (... && (FailsOnly<Partial<Op::kGemv, kWeightTypes[I]>>(3 * I) &&
                  FailsOnly<Partial<Op::kGemm, kWeightTypes[I]>>(3 * I + 1) &&
                  FailsOnly<Partial<Op::kEmbedRow, kWeightTypes[I]>>(3 * I + 2)));
}(std::make_index_sequence<std::size(kWeightTypes)>{}));
static_assert(FailsOnly<Partial<Op::kQuantize>>(kQuantizeBit));
static_assert(FailsOnly<Partial<Op::kRound>>(kRoundBit));
static_assert(FailsOnly<Partial<Op::kScale>>(kScaleBit));
static_assert(FailsOnly<Partial<Op::kRmsNorm>>(kRmsNormBit));
static_assert(FailsOnly<Partial<Op::kRope>>(kRopeBit));
static_assert(FailsOnly<Partial<Op::kSoftmax>>(kSoftmaxBit));
static_assert(FailsOnly<Partial<Op::kSwiGlu>>(kSwiGluBit));
static_assert(FailsOnly<Partial<Op::kAdd>>(kAddBit));
static_assert(!Kernel<Partial<Op::kName>> && Satisfied<Partial<Op::kName>>() == kAll);
static_assert(!Kernel<int>);

// Batches have a size, within reason.
struct NoRowsInABatch : Partial<Op::kNone> {
  static constexpr size_t kFloatBatch = 0;
};
struct HugeBatches : Partial<Op::kNone> {
  static constexpr size_t kQuantBatch = 17;
};
static_assert(!Kernel<NoRowsInABatch> && Satisfied<NoRowsInABatch>() == kAll);
static_assert(!Kernel<HugeBatches> && Satisfied<HugeBatches>() == kAll);

// An operation that may throw, or that returns something, is another operation.
struct ThrowingAdd : Partial<Op::kNone> {
  static void Add(const float*, size_t, float*);
};
static_assert(FailsOnly<ThrowingAdd>(kAddBit));
struct ReturningSoftmax : Partial<Op::kNone> {
  static float Softmax(float*, size_t, float) noexcept;
};
static_assert(FailsOnly<ReturningSoftmax>(kSoftmaxBit));
// One that wants to write what it may only read.
struct WritingRope : Partial<Op::kNone> {
  static void Rope(float*, float*, float*, size_t, float*) noexcept;
};
static_assert(FailsOnly<WritingRope>(kRopeBit));

static_assert(Kernel<ScalarReference>);
static_assert(Kernel<SelectedKernel>);

// Samplers.
static_assert(Sampler<Greedy> && Sampler<StandardChain>);
static_assert(LogitsProcessor<Temperature> && !Sampler<Temperature>);
struct NoReset {
  TokenId Sample(std::span<float>, const SampleContext&);
};
static_assert(!Sampler<NoReset>);
struct WrongResult {
  double Sample(std::span<float>, const SampleContext&);
  void Reset(uint64_t);
};
static_assert(!Sampler<WrongResult>);
static_assert(!Sampler<int>);

// Decoders.
struct AnySession {};
struct GoodDecoder {
  size_t Decode(AnySession&, std::span<const TokenId>, std::span<TokenId>);
};
static_assert(Decoder<GoodDecoder, AnySession>);
static_assert(!Decoder<GoodDecoder, int>);
static_assert(!Decoder<Greedy, AnySession>);

// Model views.
enum class Member { kNone, kConfig, kEmbedding, kLayer, kFinalNorm, kClassifier, kRope };

template <Member kMissing>
struct PartialView {
  const ModelConfig& config() const requires(kMissing != Member::kConfig);
  TileMatrix embedding() const requires(kMissing != Member::kEmbedding);
  LayerView layer(size_t i) const requires(kMissing != Member::kLayer);
  std::span<const float> final_norm() const requires(kMissing != Member::kFinalNorm);
  TileMatrix classifier() const requires(kMissing != Member::kClassifier);
  std::span<const float> rope_inv_freq() const requires(kMissing != Member::kRope);
};

static_assert(ModelView<PartialView<Member::kNone>>);
static_assert(!ModelView<PartialView<Member::kConfig>>);
static_assert(!ModelView<PartialView<Member::kEmbedding>>);
static_assert(!ModelView<PartialView<Member::kLayer>>);
static_assert(!ModelView<PartialView<Member::kFinalNorm>>);
static_assert(!ModelView<PartialView<Member::kClassifier>>);
static_assert(!ModelView<PartialView<Member::kRope>>);
static_assert(ModelView<TvlReader::View>);

// A view owns nothing.
struct OwningView : PartialView<Member::kNone> {
  std::vector<float> owned;
};
static_assert(!ModelView<OwningView>);

TEST(ConceptsTest, TheCompilerHasChecked) { SUCCEED(); }

}  // namespace
}  // namespace tvl
