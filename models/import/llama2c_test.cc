#include "models/import/llama2c.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/model_config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/tvl_writer.h"
#include "tests/support/test_model.h"

namespace tvl {
namespace {

using ::testing::HasSubstr;
using testing::TestModel;

// The bytes of a checkpoint, aligned as a mapped file is and of exactly its size, so that a
// sanitizer sees any byte read beyond it.
class Checkpoint {
 public:
  explicit Checkpoint(const std::string& bytes) : storage_(bytes.begin(), bytes.end()) {}

  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(storage_)); }
  absl::StatusOr<ModelSource> Import() const { return ImportLlama2c(bytes()); }
  std::string Error() const {
    const absl::StatusOr<ModelSource> model = Import();
    if (model.ok()) return "accepted";
    EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(model.status().message());
  }

 private:
  std::vector<char> storage_;
};

enum HeaderField { kDim, kHiddenDim, kLayers, kHeads, kKvHeads, kVocab, kSeqLen };

std::string WithField(std::string bytes, HeaderField field, int32_t value) {
  std::memcpy(bytes.data() + 4 * field, &value, sizeof(value));
  return bytes;
}

void ExpectSame(const MatrixSource& found, const MatrixSource& expected) {
  ASSERT_EQ(found.rows, expected.rows);
  ASSERT_EQ(found.cols, expected.cols);
  EXPECT_EQ(found.interleaved_rope_head_dim, expected.interleaved_rope_head_dim);
  EXPECT_EQ(std::memcmp(found.data, expected.data, size_t{4} * found.rows * found.cols), 0);
}

TEST(Llama2cTest, ReadsEveryTensor) {
  for (const bool tied : {true, false}) {
    const TestModel model({.tied = tied});
    const Checkpoint checkpoint(model.Llama2cCheckpoint());
    const absl::StatusOr<ModelSource> found = checkpoint.Import();
    ASSERT_TRUE(found.ok()) << found.status();
    const ModelSource& expected = model.source();
    EXPECT_EQ(found->config, expected.config);
    ExpectSame(found->embedding, expected.embedding);
    ASSERT_EQ(found->layers.size(), expected.layers.size());
    for (size_t i = 0; i < expected.layers.size(); ++i) {
      const LayerSource &f = found->layers[i], &e = expected.layers[i];
      EXPECT_EQ(std::memcmp(f.attention_norm, e.attention_norm, 4 * 36), 0);
      EXPECT_EQ(std::memcmp(f.ffn_norm, e.ffn_norm, 4 * 36), 0);
      ExpectSame(f.wq, e.wq);
      ExpectSame(f.wk, e.wk);
      ExpectSame(f.wv, e.wv);
      ExpectSame(f.wo, e.wo);
      ExpectSame(f.w1, e.w1);
      ExpectSame(f.w2, e.w2);
      ExpectSame(f.w3, e.w3);
    }
    EXPECT_EQ(std::memcmp(found->final_norm, expected.final_norm, 4 * 36), 0);
    if (!tied) ExpectSame(found->classifier, expected.classifier);
  }
}

TEST(Llama2cTest, FillsInWhatTheHeaderLeavesOpen) {
  const Checkpoint checkpoint(
      TestModel({.dim = 64, .n_heads = 8, .n_kv_heads = 4}).Llama2cCheckpoint());
  const absl::StatusOr<ModelSource> model = checkpoint.Import();
  ASSERT_TRUE(model.ok()) << model.status();
  const ModelConfig& c = model->config;
  EXPECT_EQ(c.head_dim, 8u);
  EXPECT_EQ(c.rope_dims, 8u);
  EXPECT_EQ(c.rope_base, 10000.0f);
  EXPECT_EQ(c.norm_epsilon, 1e-5f);
  EXPECT_EQ(c.attention_scale, 0.35355339059327373f);
  ASSERT_EQ(model->rope_inv_freq.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_FLOAT_EQ(model->rope_inv_freq[i],
                    static_cast<float>(std::pow(10000.0, -static_cast<double>(i) / 4)));
  }
}

TEST(Llama2cTest, ReordersTheRowsOfQueryAndKeyHeads) {
  const Checkpoint checkpoint(
      TestModel({.dim = 48, .n_heads = 6, .n_kv_heads = 2}).Llama2cCheckpoint());
  const absl::StatusOr<ModelSource> model = checkpoint.Import();
  ASSERT_TRUE(model.ok());
  const LayerSource& layer = model->layers[0];
  // Heads of 8: the source pairs rows (0, 1), (2, 3) ..., the file rows (0, 4), (1, 5) ...
  const size_t order[] = {0, 2, 4, 6, 1, 3, 5, 7};
  for (size_t head = 0; head < 6; ++head) {
    for (size_t i = 0; i < 8; ++i) {
      EXPECT_EQ(layer.wq.SourceRow(head * 8 + i), head * 8 + order[i]);
      if (head < 2) {
        EXPECT_EQ(layer.wk.SourceRow(head * 8 + i), head * 8 + order[i]);
        EXPECT_EQ(layer.wv.SourceRow(head * 8 + i), head * 8 + i);
      }
    }
  }
  EXPECT_EQ(layer.wo.SourceRow(13), 13u);
  EXPECT_EQ(layer.wq.Row(9), layer.wq.data + 10 * 48);
}

TEST(Llama2cTest, TheVocabularysSignSaysWhetherTheClassifierIsTied) {
  const std::string tied = TestModel({.tied = true}).Llama2cCheckpoint();
  const std::string untied = TestModel({.tied = false}).Llama2cCheckpoint();
  EXPECT_EQ(untied.size() - tied.size(), size_t{4} * 67 * 36);
  EXPECT_TRUE(Checkpoint(tied).Import()->config.tied_classifier);
  EXPECT_FALSE(Checkpoint(untied).Import()->config.tied_classifier);
  EXPECT_EQ(Checkpoint(untied).Import()->config.vocab_size, 67u);
  // The size must agree with the sign; the sign alone decides.
  EXPECT_THAT(Checkpoint(WithField(tied, kVocab, -67)).Error(),
              HasSubstr(absl::StrCat("file size: expected ", untied.size(),
                                     " bytes by the header, found ", tied.size())));
  EXPECT_THAT(Checkpoint(WithField(untied, kVocab, 67)).Error(),
              HasSubstr(absl::StrCat("file size: expected ", tied.size(),
                                     " bytes by the header, found ", untied.size())));
}

TEST(Llama2cTest, BothSizesAreInTheError) {
  const std::string good = TestModel({}).Llama2cCheckpoint();
  EXPECT_THAT(
      Checkpoint(good.substr(0, good.size() - 1)).Error(),
      HasSubstr(absl::StrCat("file size: expected ", good.size(), " bytes by the header, found ",
                             good.size() - 1, "; the file is truncated")));
  EXPECT_THAT(Checkpoint(good + "x").Error(),
              HasSubstr(absl::StrCat("expected ", good.size(), " bytes by the header, found ",
                                     good.size() + 1)));
  for (size_t n = 0; n < 28; ++n) {
    EXPECT_THAT(
        Checkpoint(good.substr(0, n)).Error(),
        HasSubstr(absl::StrCat("file size: expected at least a header of 28 bytes, found ", n)));
  }
  EXPECT_THAT(Checkpoint(good.substr(0, 28)).Error(), HasSubstr("found 28"));
}

TEST(Llama2cTest, NamesEveryHeaderField) {
  const std::string good = TestModel({}).Llama2cCheckpoint();
  const struct {
    HeaderField field;
    const char* name;
  } fields[] = {{kDim, "dim"},       {kHiddenDim, "hidden_dim"}, {kLayers, "n_layers"},
                {kHeads, "n_heads"}, {kKvHeads, "n_kv_heads"},   {kSeqLen, "seq_len"}};
  constexpr int32_t kMax = std::numeric_limits<int32_t>::max(),
                    kMin = std::numeric_limits<int32_t>::min();
  for (const auto& f : fields) {
    for (const int32_t bad : {0, -1, kMax, kMin}) {
      EXPECT_THAT(Checkpoint(WithField(good, f.field, bad)).Error(),
                  HasSubstr(absl::StrCat("header field ", f.name, ": expected 1 to ")));
    }
  }
  for (const int32_t bad : {0, kMax, kMin, -(1 << 24) - 1}) {
    EXPECT_THAT(
        Checkpoint(WithField(good, kVocab, bad)).Error(),
        HasSubstr(absl::StrCat(
            "header field vocab_size: expected a magnitude of 1 to 16777216, found ", bad)));
  }
  EXPECT_THAT(Checkpoint(WithField(good, kHeads, 5)).Error(), HasSubstr("header field n_heads"));
  EXPECT_THAT(Checkpoint(WithField(good, kHeads, 12)).Error(),
              HasSubstr("even number of dimensions"));  // heads of 3
  EXPECT_THAT(Checkpoint(WithField(good, kHeads, 72)).Error(),
              HasSubstr("header field n_heads"));  // more than dim
  EXPECT_THAT(Checkpoint(WithField(good, kKvHeads, 4)).Error(),
              HasSubstr("header field n_kv_heads: expected a divisor of n_heads = 6, found 4"));
}

TEST(Llama2cTest, LargeHeadersDoNotOverflow) {
  // The largest header there can be, on a small file: the size that it asks for is far beyond 32
  // bits.
  std::string huge = TestModel({}).Llama2cCheckpoint();
  const int32_t header[] = {1 << 17, 1 << 20, 1024, 128, 128, -(1 << 24), 1 << 24};
  std::memcpy(huge.data(), header, sizeof(header));
  EXPECT_THAT(Checkpoint(huge).Error(), HasSubstr("file size: expected 1987986816761884 bytes"));
}

TEST(Llama2cTest, RandomHeadersNeverCrash) {
  constexpr uint32_t kSeed = 20260103;
  std::mt19937 random(kSeed);
  const std::string good = TestModel({}).Llama2cCheckpoint();
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = good;
    const size_t fields = 1 + random() % 3;
    for (size_t i = 0; i < fields; ++i) {
      const int32_t value = static_cast<int32_t>(random()) >> (random() % 32);
      bytes = WithField(bytes, static_cast<HeaderField>(random() % 7), value);
    }
    const Checkpoint checkpoint(bytes);
    const absl::StatusOr<ModelSource> model = checkpoint.Import();
    if (!model.ok()) continue;
    EXPECT_EQ(ValidateModelConfig(model->config), absl::OkStatus());
  }
}

}  // namespace
}  // namespace tvl
