// A model that lives in buffers instead of a file: the forward pass sees no difference, and each
// matrix may have a weight type of its own.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/selected.h"
#include "core/aligned_buffer.h"
#include "core/bfloat16.h"
#include "core/float16.h"
#include "core/model_config.h"
#include "core/model_view.h"
#include "core/tensor_view.h"
#include "core/thread_pool.h"
#include "core/tile.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "models/tile_packer.h"
#include "models/tvl_writer.h"
#include "tests/support/test_model.h"

namespace tvl {
namespace {

using testing::TempTvl;
using testing::TestModel;

// Packs a ModelSource into tiles of its own, each matrix as `type_of(matrix number)`.
class MemoryModel {
 public:
  class View {
   public:
    explicit View(const MemoryModel* model) : model_(model) {}
    const ModelConfig& config() const { return model_->source_.config; }
    TileMatrix embedding() const { return model_->embedding_; }
    LayerView layer(size_t i) const { return model_->layers_[i]; }
    std::span<const float> final_norm() const { return {model_->source_.final_norm, config().dim}; }
    TileMatrix classifier() const { return model_->classifier_; }
    std::span<const float> rope_inv_freq() const { return model_->source_.rope_inv_freq; }

   private:
    const MemoryModel* model_;
  };

  template <typename TypeOf>
  MemoryModel(const ModelSource& source, TypeOf&& type_of) : source_(source) {
    size_t number = 0;
    const auto pack = [&](const MatrixSource& m) { return Pack(m, type_of(number++)); };
    const uint32_t dim = source.config.dim;
    embedding_ = pack(source.embedding);
    for (const LayerSource& l : source.layers) {
      LayerView view;
      view.attention_norm = {l.attention_norm, dim};
      view.wq = pack(l.wq);
      view.wk = pack(l.wk);
      view.wv = pack(l.wv);
      view.wo = pack(l.wo);
      view.ffn_norm = {l.ffn_norm, dim};
      view.w13 = {pack(l.w1),
                  pack(l.w3)};  // side by side here, not interleaved: the strides say so
      view.w2 = pack(l.w2);
      layers_.push_back(view);
    }
    classifier_ = source.config.tied_classifier ? embedding_ : pack(source.classifier);
  }
  MemoryModel(const MemoryModel&) = delete;
  MemoryModel& operator=(const MemoryModel&) = delete;

  View view() const { return View(this); }

 private:
  TileMatrix Pack(const MatrixSource& m, WeightType type) {
    const size_t panels = PanelCount(m.rows), panel_bytes = PanelBytes(type, m.cols);
    AlignedBuffer<std::byte>& buffer = buffers_.emplace_back(panels * panel_bytes);
    for (size_t p = 0; p < panels; ++p) {
      const float* rows[kPanelRows];
      for (size_t r = 0; r < kPanelRows; ++r) {
        rows[r] = p * kPanelRows + r < m.rows ? m.Row(p * kPanelRows + r) : nullptr;
      }
      PackPanel(type, rows, m.cols, buffer.data() + p * panel_bytes);
    }
    return DenseTileMatrix(buffer.data(), type, m.rows, m.cols);
  }

  ModelSource source_;
  std::deque<AlignedBuffer<std::byte>> buffers_;
  TileMatrix embedding_, classifier_;
  std::vector<LayerView> layers_;
};

static_assert(ModelView<MemoryModel::View>);

using Rows = std::vector<std::vector<float>>;

template <ModelView M>
Rows LogitsOf(M model, size_t threads) {
  ThreadPool pool(threads);
  absl::StatusOr<Session<SelectedKernel, M>> session =
      Session<SelectedKernel, M>::Create(model, &pool, {.prefill_chunk = 4, .all_logits = true});
  EXPECT_TRUE(session.ok()) << session.status();
  std::vector<TokenId> tokens;
  for (TokenId i = 0; i < 30; ++i) tokens.push_back(i * i % 67);
  Rows rows;
  EXPECT_EQ(session->PrefillAll(tokens,
                                [&](std::span<float> l) { rows.emplace_back(l.begin(), l.end()); }),
            absl::OkStatus());
  return rows;
}

TEST(MemoryViewTest, EqualsTheFile) {
  for (const WeightType type : kWeightTypes) {
    for (const bool tied : {true, false}) {
      testing::TestShape shape = {.tied = tied};
      // The file has K-quants only where rows are whole superblocks.
      if (IsKQuant(type)) shape = {.dim = 256, .hidden_dim = 256, .n_heads = 4, .tied = tied};
      const TestModel model(shape);
      const TempTvl file(model.source(), type);
      const absl::StatusOr<TvlReader> reader = TvlReader::Parse(file.bytes(), "test");
      ASSERT_TRUE(reader.ok()) << reader.status();
      const MemoryModel memory(model.source(), [&](size_t) { return type; });
      EXPECT_EQ(LogitsOf(memory.view(), 2), LogitsOf(reader->view(), 1));
    }
  }
}

// Weights that f16 and bf16 hold exactly: then a mix of types must give the bits of f32.
TEST(MemoryViewTest, WeightTypesMix) {
  const TestModel model({.tied = false});
  ModelSource rounded = model.source();
  std::deque<std::vector<float>> owned;
  const auto round = [&](MatrixSource& m) {
    std::vector<float>& values = owned.emplace_back(m.data, m.data + size_t{m.rows} * m.cols);
    for (float& v : values) v = BF16ToF32(F32ToBF16(F16ToF32(F32ToF16(v))));
    m.data = values.data();
  };
  round(rounded.embedding);
  for (LayerSource& l : rounded.layers) {
    for (MatrixSource* m : {&l.wq, &l.wk, &l.wv, &l.wo, &l.w1, &l.w2, &l.w3}) round(*m);
  }
  round(rounded.classifier);
  const MemoryModel plain(rounded, [](size_t) { return WeightType::kF32; });
  const Rows expected = LogitsOf(plain.view(), 1);
  constexpr size_t kTypes = std::size(kFloatTypes);
  for (const size_t step : {1, 2, 5}) {
    const MemoryModel mixed(rounded,
                            [&](size_t i) { return kFloatTypes[(i / 2 + i * step) % kTypes]; });
    EXPECT_EQ(LogitsOf(mixed.view(), 2), expected);
  }
}

}  // namespace
}  // namespace tvl
