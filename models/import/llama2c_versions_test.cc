// Versions 1 and 2 of llama2.c's checkpoints against version 0 of the same numbers.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/float16.h"
#include "core/model_config.h"
#include "core/model_view.h"
#include "core/tensor_view.h"
#include "core/tile.h"
#include "core/tile_weight.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/import/llama2c.h"
#include "models/tvl_reader.h"
#include "models/tvl_writer.h"
#include "tests/support/test_model.h"

namespace tvl {
namespace {

using ::testing::HasSubstr;
using testing::TempTvl;
using testing::TestModel;
using testing::TestShape;

constexpr uint32_t kSeed = 20260103;

template <typename T>
void Append(std::string* out, const T& value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof(value));
}
void Append(std::string* out, const float* values, size_t count) {
  out->append(reinterpret_cast<const char*>(values), count * sizeof(float));
}

// A model whose matrices are int8 numbers times the scales of their groups: as version 2, and as
// the f32 numbers that it stands for. A group size of 0 keeps the numbers that there are.
class VersionedModel {
 public:
  explicit VersionedModel(const ModelSource& source, uint32_t group_size = 0)
      : source_(source), group_size_(group_size), random_(kSeed) {}
  VersionedModel(const VersionedModel&) = delete;
  VersionedModel& operator=(const VersionedModel&) = delete;

  // Version 1 without a group size, else 2. To be called before source().
  std::string Checkpoint() {
    const ModelConfig& c = source_.config;
    std::string out;
    Append(&out, uint32_t{0x616b3432});
    Append(&out, int32_t{group_size_ == 0 ? 1 : 2});
    for (const uint32_t value : {c.dim, c.hidden_dim, c.n_layers, c.n_heads, c.n_kv_heads,
                                 c.vocab_size, c.context_length}) {
      Append(&out, static_cast<int32_t>(value));
    }
    Append(&out, uint8_t{c.tied_classifier});
    if (group_size_ != 0) Append(&out, group_size_);
    out.resize(256, '\0');
    for (const LayerSource& l : source_.layers) Append(&out, l.attention_norm, c.dim);
    for (const LayerSource& l : source_.layers) Append(&out, l.ffn_norm, c.dim);
    Append(&out, source_.final_norm, c.dim);
    AppendMatrix(&out, &source_.embedding);
    for (MatrixSource LayerSource::*matrix :
         {&LayerSource::wq, &LayerSource::wk, &LayerSource::wv, &LayerSource::wo, &LayerSource::w1,
          &LayerSource::w2, &LayerSource::w3}) {
      for (LayerSource& l : source_.layers) AppendMatrix(&out, &(l.*matrix));
    }
    if (!c.tied_classifier) AppendMatrix(&out, &source_.classifier);
    return out;
  }

  // The same numbers in f32.
  const ModelSource& source() const { return source_; }

  struct Matrix {
    std::vector<float> values;
    std::vector<int8_t> quants;
    std::vector<float> scales;
  };
  // What a matrix of source() is made of.
  const Matrix& Made(const MatrixSource& m) const {
    return *std::find_if(owned_.begin(), owned_.end(),
                         [&](const Matrix& made) { return made.values.data() == m.data; });
  }

 private:
  void AppendMatrix(std::string* out, MatrixSource* m) {
    const size_t count = size_t{m->rows} * m->cols;
    if (group_size_ == 0) return Append(out, m->data, count);
    Matrix& made = owned_.emplace_back();
    made.scales.resize(count / group_size_);
    for (float& scale : made.scales) scale = static_cast<float>(random_() % 1000) / 30000.0f;
    for (size_t i = 0; i < count; ++i) {
      made.quants.push_back(static_cast<int8_t>(random_()));
      Append(out, made.quants.back());
      made.values.push_back(static_cast<float>(made.quants.back()) * made.scales[i / group_size_]);
    }
    Append(out, made.scales.data(), made.scales.size());
    m->data = made.values.data();
  }

  ModelSource source_;
  const uint32_t group_size_;
  std::mt19937 random_;
  std::deque<Matrix> owned_;
};

// Of exactly its size, so that a sanitizer sees any byte read beyond it.
class Checkpoint {
 public:
  explicit Checkpoint(const std::string& bytes) : storage_(bytes.begin(), bytes.end()) {}

  absl::StatusOr<ModelSource> Import() const {
    return ImportLlama2c(std::as_bytes(std::span(storage_)));
  }

 private:
  std::vector<char> storage_;
};

std::string Error(const std::string& bytes) {
  const Checkpoint checkpoint(bytes);
  const absl::StatusOr<ModelSource> model = checkpoint.Import();
  if (model.ok()) return "accepted";
  EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(model.status().message());
}

std::string Tvl(const ModelSource& model, WeightType type) {
  const TempTvl file(model, type);
  return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
}

template <typename T>
std::string With(std::string bytes, size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(value));
  return bytes;
}

// Heads of 6, 8 and 24; sizes that are multiples of nothing.
const TestShape kShapes[] = {
    {},
    {.dim = 48, .hidden_dim = 65, .n_layers = 3, .n_heads = 6, .n_kv_heads = 3, .tied = false},
    {.dim = 24, .hidden_dim = 7, .n_layers = 1, .n_heads = 1, .n_kv_heads = 1, .vocab_size = 1},
};

TEST(Llama2cVersionsTest, Version1GivesTheFileOfVersion0) {
  for (const TestShape& shape : kShapes) {
    const TestModel model(shape);
    const Checkpoint v0(model.Llama2cCheckpoint());
    const Checkpoint v1(VersionedModel(model.source()).Checkpoint());
    const absl::StatusOr<ModelSource> from_v0 = v0.Import(), from_v1 = v1.Import();
    ASSERT_TRUE(from_v0.ok()) << from_v0.status();
    ASSERT_TRUE(from_v1.ok()) << from_v1.status();
    for (const WeightType type : {WeightType::kF32, WeightType::kF16}) {
      EXPECT_EQ(Tvl(*from_v1, type), Tvl(*from_v0, type));
    }
  }
}

TEST(Llama2cVersionsTest, Version2GivesTheFileOfItsNumbers) {
  for (const TestShape& shape : kShapes) {
    const TestModel model(shape);
    // 12 divides every matrix of these shapes, but not always its rows: groups then cross them.
    for (const uint32_t group_size : {1u, 2u, 3u, 4u, 12u}) {
      VersionedModel quantized(model.source(), group_size);
      const Checkpoint checkpoint(quantized.Checkpoint());
      const absl::StatusOr<ModelSource> found = checkpoint.Import();
      ASSERT_TRUE(found.ok()) << found.status() << " group size " << group_size;
      EXPECT_EQ(found->config, quantized.source().config);
      for (const WeightType type : {WeightType::kF32, WeightType::kF16}) {
        EXPECT_EQ(Tvl(*found, type), Tvl(quantized.source(), type)) << group_size;
      }
    }
  }
}

void ExpectQuants(const TileMatrix& found, const MatrixSource& m,
                  const VersionedModel::Matrix& made) {
  const size_t group_size = made.quants.size() / made.scales.size();
  for (size_t row = 0; row < m.rows; ++row) {
    const std::byte* panel = found.Panel(row / kPanelRows);
    for (size_t k = 0; k < m.cols; ++k) {
      const size_t i = m.SourceRow(row) * m.cols + k;
      ASSERT_EQ(PanelQuant<WeightType::kQ8>(panel, row % kPanelRows, k), made.quants[i]);
      ASSERT_EQ(PanelScale<WeightType::kQ8>(panel, row % kPanelRows, k),
                F16ToF32(F32ToF16(made.scales[i / group_size])));
    }
  }
}

// Rows of queries and keys are reordered, so the rows have to be found again; w13 is a pair.
TEST(Llama2cVersionsTest, Q8KeepsTheQuantsOfGroupsThatAreBlocks) {
  const TestModel model(
      {.dim = 192, .hidden_dim = 320, .n_heads = 4, .n_kv_heads = 2, .tied = false});
  for (const uint32_t group_size : {32u, 64u}) {
    VersionedModel quantized(model.source(), group_size);
    const Checkpoint checkpoint(quantized.Checkpoint());
    const absl::StatusOr<ModelSource> found = checkpoint.Import();
    ASSERT_TRUE(found.ok()) << found.status();
    const TvlSummary summary = SummarizeTvl(*found, WeightType::kQ8);
    EXPECT_EQ(summary.quantized_matrices, 2u + 2 * 7);
    EXPECT_EQ(summary.kept_matrices, 2u + 2 * 7);
    EXPECT_EQ(SummarizeTvl(*found, WeightType::kQ4).kept_matrices, 0u);
    const TempTvl file(*found, WeightType::kQ8);
    const absl::StatusOr<TvlReader> reader = TvlReader::Parse(file.bytes(), "test");
    ASSERT_TRUE(reader.ok()) << reader.status();
    const ModelSource& source = quantized.source();
    const auto expect = [&](const TileMatrix& view, const MatrixSource& m) {
      ExpectQuants(view, m, quantized.Made(m));
    };
    expect(reader->view().embedding(), source.embedding);
    expect(reader->view().classifier(), source.classifier);
    for (size_t i = 0; i < source.layers.size(); ++i) {
      const LayerView layer = reader->view().layer(i);
      const LayerSource& l = source.layers[i];
      expect(layer.wq, l.wq);
      expect(layer.wk, l.wk);
      expect(layer.wv, l.wv);
      expect(layer.wo, l.wo);
      expect(layer.w13.first, l.w1);
      expect(layer.w13.second, l.w3);
      expect(layer.w2, l.w2);
    }
  }
}

// Then q8 is made of the numbers, as any type is.
TEST(Llama2cVersionsTest, Q8RequantisesOtherGroups) {
  const TestModel model({.dim = 192, .hidden_dim = 96, .n_heads = 4, .n_kv_heads = 2});
  // 16 is half a block, 96 divides all rows, 192 all but those of w2; see kept_matrices.
  const struct {
    uint32_t group_size;
    size_t kept;
  } cases[] = {{16, 0}, {48, 0}, {96, 15}, {192, 13}};
  for (const auto& c : cases) {
    VersionedModel quantized(model.source(), c.group_size);
    const Checkpoint checkpoint(quantized.Checkpoint());
    const absl::StatusOr<ModelSource> found = checkpoint.Import();
    ASSERT_TRUE(found.ok()) << found.status();
    const TvlSummary summary = SummarizeTvl(*found, WeightType::kQ8);
    EXPECT_EQ(summary.quantized_matrices, 15u);
    EXPECT_EQ(summary.kept_matrices, c.kept);
    if (c.kept == 0) {
      EXPECT_EQ(Tvl(*found, WeightType::kQ8), Tvl(quantized.source(), WeightType::kQ8));
    }
    EXPECT_EQ(Tvl(*found, WeightType::kQ4M), Tvl(quantized.source(), WeightType::kQ4M));
  }
}

// A scale that f16 cannot hold: its matrix is requantised, or refused.
TEST(Llama2cVersionsTest, Q8ScalesBeyondF16) {
  const TestModel model(
      {.dim = 64, .hidden_dim = 64, .n_layers = 1, .n_heads = 2, .n_kv_heads = 2});
  const std::string good = VersionedModel(model.source(), 64).Checkpoint();
  const size_t embedding_scales = 256 + 3 * 64 * 4 + 67 * 64;
  const Checkpoint checkpoint(With(good, embedding_scales, 70000.0f));
  const absl::StatusOr<ModelSource> found = checkpoint.Import();
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(SummarizeTvl(*found, WeightType::kQ8).kept_matrices, 7u);
  EXPECT_THAT(
      std::string(
          WriteTvl(*found, "", testing::UniqueTempPath(), {.types = WeightType::kQ8}).message()),
      HasSubstr("tensor token_embedding, row 0, column "));
}

TEST(Llama2cVersionsTest, HeadersSayWhatIsWrong) {
  const TestModel model({.tied = false});
  const std::string v1 = VersionedModel(model.source()).Checkpoint();
  const std::string v2 = VersionedModel(model.source(), 36).Checkpoint();
  constexpr int32_t kMax = std::numeric_limits<int32_t>::max(),
                    kMin = std::numeric_limits<int32_t>::min();
  const struct {
    size_t offset;
    const char* name;
  } fields[] = {{8, "dim"},         {12, "hidden_dim"}, {16, "n_layers"}, {20, "n_heads"},
                {24, "n_kv_heads"}, {28, "vocab_size"}, {32, "seq_len"}};
  for (const std::string& good : {v1, v2}) {
    EXPECT_EQ(Error(good), "accepted");
    for (const int32_t bad : {0, 3, -1, kMax, kMin}) {
      EXPECT_THAT(Error(With(good, 4, bad)),
                  HasSubstr(absl::StrCat("header field version: expected 1 or 2, found ", bad)));
    }
    for (const auto& f : fields) {
      for (const int32_t bad : {0, -1, kMax, kMin}) {
        EXPECT_THAT(Error(With(good, f.offset, bad)),
                    HasSubstr(absl::StrCat("header field ", f.name, ": expected 1 to ")));
      }
    }
    EXPECT_EQ(Error(With(good, 36, uint8_t{2})),
              "header field shared_classifier: expected 0 or 1, found 2");
    EXPECT_THAT(Error(With(good, 255, uint8_t{9})), HasSubstr("header byte 255: expected 0"));
    for (size_t n = 4; n < 256; ++n) {
      EXPECT_EQ(Error(good.substr(0, n)),
                absl::StrCat("file size: expected at least a header of 256 bytes, found ", n));
    }
  }
  EXPECT_THAT(Error(With(v1, 37, uint8_t{64})), HasSubstr("header byte 37: expected 0"));
  EXPECT_THAT(Error(With(v2, 41, uint8_t{1})), HasSubstr("header byte 41: expected 0"));
}

TEST(Llama2cVersionsTest, GroupSizes) {
  const TestModel model({});
  const std::string good = VersionedModel(model.source(), 36).Checkpoint();
  for (const int32_t bad : {0, -1, -64, std::numeric_limits<int32_t>::min()}) {
    EXPECT_EQ(Error(With(good, 37, bad)),
              absl::StrCat("header field group_size: expected 1 or more, found ", bad));
  }
  EXPECT_EQ(Error(With(good, 37, 72)),
            "header field group_size: expected a divisor of the 2412 numbers of token_embedding, "
            "found 72");
  EXPECT_THAT(Error(With(good, 37, std::numeric_limits<int32_t>::max())),
              HasSubstr("numbers of token_embedding, found 2147483647"));
  EXPECT_THAT(Error(With(good, 37, 2412)),
              HasSubstr("expected a divisor of the 1296 numbers of wq"));
  // A divisor, but not the one that the file was made with.
  EXPECT_THAT(Error(With(good, 37, 12)), HasSubstr("file size: expected "));
}

TEST(Llama2cVersionsTest, BothSizesAreInTheError) {
  const TestModel model({.tied = false});
  for (const uint32_t group_size : {0u, 36u}) {
    const std::string good = VersionedModel(model.source(), group_size).Checkpoint();
    EXPECT_EQ(Error(good + "x"), absl::StrCat("file size: expected ", good.size(),
                                              " bytes by the header, found ", good.size() + 1));
    for (const size_t n : {size_t{256}, size_t{1000}, good.size() - 1}) {
      EXPECT_EQ(Error(good.substr(0, n)),
                absl::StrCat("file size: expected ", good.size(), " bytes by the header, found ", n,
                             "; the file is truncated"));
    }
    // The byte and the size must agree; the byte alone decides.
    EXPECT_THAT(Error(With(good, 36, uint8_t{1})), HasSubstr("file size: expected "));
  }
}

TEST(Llama2cVersionsTest, LargeHeadersDoNotOverflow) {
  const TestModel model({});
  const int32_t shapes[] = {1 << 17, 1 << 20, 1024, 128, 128, 1 << 24, 1 << 24};
  for (const uint32_t group_size : {0u, 1u}) {
    std::string huge = VersionedModel(model.source(), group_size).Checkpoint();
    std::memcpy(huge.data() + 8, shapes, sizeof(shapes));
    // 2^41 + 1024 (4 x 2^34 + 3 x 2^37) weights of 4 and of 1 + 4 bytes, and 2049 x 2^17 norms.
    const uint64_t weights =
        (uint64_t{1} << 41) + 1024 * ((uint64_t{1} << 36) + (uint64_t{3} << 37));
    const uint64_t expected =
        256 + 4 * (uint64_t{2049} << 17) + weights * (group_size == 0 ? 4 : 5);
    EXPECT_THAT(Error(huge), HasSubstr(absl::StrCat("file size: expected ", expected, " bytes")));
  }
}

TEST(Llama2cVersionsTest, ScalesAreNumbers) {
  const TestModel model({});
  const std::string good = VersionedModel(model.source(), 36).Checkpoint();
  const size_t norms = 5 * 36 * 4;
  const size_t embedding_scales = 256 + norms + 67 * 36;
  for (const float bad :
       {-1.0f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_THAT(Error(With(good, embedding_scales + 4 * 5, bad)),
                HasSubstr("tensor token_embedding: scale 5 of 67: expected a finite number"));
    EXPECT_THAT(Error(With(good, good.size() - 4, bad)),
                HasSubstr("tensor layers.1.w3: scale 49 of 50: expected a finite number"));
  }
}

TEST(Llama2cVersionsTest, KnowsOtherFormats) {
  const std::string zeros(100, '\0');
  EXPECT_THAT(Error("\x89TVL\r\n\x1a\n" + zeros), HasSubstr("found a .tvl file; it needs no"));
  EXPECT_THAT(Error("GGUF" + zeros), HasSubstr("found a GGUF file"));
  EXPECT_THAT(Error(std::string("\x20\0\0\0\0\0\0\0{", 9) + zeros),
              HasSubstr("found weights in safetensors; tvl reads GGUF"));
  EXPECT_THAT(Error("PK\x03\x04" + zeros), HasSubstr("found a zip archive"));
  EXPECT_THAT(Error("<!DOCTYPE html><html lang=\"en\">"), HasSubstr("found a page of HTML"));
  EXPECT_THAT(Error(""), HasSubstr("expected at least a header of 28 bytes, found 0"));
}

TEST(Llama2cVersionsTest, RandomHeadersNeverCrash) {
  std::mt19937 random(kSeed);
  const TestModel model({});
  const std::string good[] = {VersionedModel(model.source()).Checkpoint(),
                              VersionedModel(model.source(), 36).Checkpoint()};
  for (int round = 0; round < 4000; ++round) {
    std::string bytes = good[round % 2];
    for (size_t i = 1 + random() % 3; i > 0; --i) {
      bytes = With(bytes, 4 + random() % 40, static_cast<int32_t>(random()) >> (random() % 32));
    }
    const Checkpoint checkpoint(bytes);
    const absl::StatusOr<ModelSource> found = checkpoint.Import();
    if (!found.ok()) continue;
    EXPECT_EQ(ValidateModelConfig(found->config), absl::OkStatus());
  }
}

}  // namespace
}  // namespace tvl
