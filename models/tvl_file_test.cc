// What is written is what is read: every tensor, of every type, over odd shapes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "core/bfloat16.h"
#include "core/float16.h"
#include "core/mapped_file.h"
#include "core/tile.h"
#include "gtest/gtest.h"
#include "models/import/llama2c.h"
#include "models/quantize.h"
#include "models/recipe.h"
#include "models/tvl_format.h"
#include "models/tvl_reader.h"
#include "models/tvl_writer.h"
#include "tests/support/test_model.h"
#include "xxhash.h"

namespace tvl {
namespace {

using testing::TempTvl;
using testing::TestModel;
using testing::TestShape;

// Rows and columns around 4, 16 and 32; head sizes that fill no quad; one of everything.
const TestShape kShapes[] = {
    {},
    {.tied = false},
    {.architecture = Architecture::kMistral, .sliding_window = 12},
    {.architecture = Architecture::kQwen2},
    {.architecture = Architecture::kQwen3},
    {.architecture = Architecture::kLlamaBias},
    {.dim = 64,
     .hidden_dim = 172,
     .n_layers = 1,
     .n_heads = 8,
     .n_kv_heads = 4,
     .vocab_size = 512,
     .tied = false},
    {.dim = 2,
     .hidden_dim = 1,
     .n_layers = 1,
     .n_heads = 1,
     .n_kv_heads = 1,
     .vocab_size = 1,
     .context_length = 1},
    {.dim = 17,
     .hidden_dim = 33,
     .n_heads = 3,
     .n_kv_heads = 3,
     .head_dim = 10,
     .rope_dims = 4,
     .vocab_size = 33},
    {.dim = 30,
     .hidden_dim = 31,
     .n_layers = 3,
     .n_heads = 5,
     .n_kv_heads = 1,
     .vocab_size = 16,
     .tied = false},
    {.dim = 48, .hidden_dim = 65, .n_heads = 3, .n_kv_heads = 1, .vocab_size = 17, .tied = true},
};

// Row of the source that becomes row r: RoPE pairs (2i, 2i + 1) of each head become (i, i + d / 2).
size_t SourceRow(const MatrixSource& m, size_t r) {
  const size_t d = m.interleaved_rope_head_dim;
  if (d == 0) return r;
  const size_t head = r / d, i = r % d;
  return head * d + (i < d / 2 ? 2 * i : 2 * (i - d / 2) + 1);
}

// Number `index` of a panel's or a superblock's.
uint16_t HalfAt(const std::byte* data, size_t index) {
  uint16_t half;
  std::memcpy(&half, data + 2 * index, sizeof(half));
  return half;
}

// Checks row r of a panel, padding included, which holds the `cols` numbers at `row`, or is padding
// where that is null.
void ExpectQuantizedRow(WeightType type, const std::byte* panel, size_t r, const float* row,
                        size_t cols) {
  const size_t kp = (cols + 63) / 64 * 64, quant_lines = type == WeightType::kQ8 ? 16 : 8;
  const size_t lines = quant_lines + (type == WeightType::kQ4M ? 2 : 1);
  for (size_t k = 0; k < kp; k += 32) {
    QuantizedBlock expected = {};
    if (type == WeightType::kQ4) std::fill_n(expected.quants, 32, int8_t{8});
    if (row != nullptr && k < cols)
      expected = QuantizeBlock(type, row + k, std::min<size_t>(32, cols - k));
    const std::byte* superblock = panel + k / 64 * lines * 64;
    for (size_t j = k % 64; j < k % 64 + 32; ++j) {
      int quant;
      if (type == WeightType::kQ8) {
        quant = std::to_integer<int8_t>(superblock[64 * (j / 4) + 4 * r + j % 4]);
      } else {
        const int both = std::to_integer<int>(superblock[64 * (j / 8) + 4 * r + j % 4]);
        quant = j % 8 < 4 ? both & 15 : both >> 4;
      }
      ASSERT_EQ(quant, expected.quants[j % 32]) << "row " << r << " k " << k / 64 * 64 + j;
    }
    const std::byte* scales = superblock + 64 * quant_lines;
    ASSERT_EQ(HalfAt(scales, 16 * (k % 64 / 32) + r), expected.scale) << "row " << r << " k " << k;
    if (type != WeightType::kQ4M) continue;
    ASSERT_EQ(HalfAt(scales + 64, 16 * (k % 64 / 32) + r), expected.minimum) << r << ' ' << k;
  }
}

size_t PanelSize(WeightType type, size_t cols) {
  switch (type) {
    case WeightType::kF32:
      return (cols + 3) / 4 * 4 * 64;
    case WeightType::kQ8:
      return (cols + 63) / 64 * 17 * 64;
    case WeightType::kQ4:
      return (cols + 63) / 64 * 9 * 64;
    case WeightType::kQ4M:
      return (cols + 63) / 64 * 10 * 64;
    default:
      return (cols + 3) / 4 * 4 * 32;
  }
}

// Checks panels of one matrix, padding included, by the formulas of TVL_FORMAT.md. `unit_step`:
// units from one unit of the matrix to its next.
void ExpectMatrix(const TensorInfo& t, const MatrixSource& m, size_t first_unit, size_t unit_step,
                  size_t panels) {
  const WeightType type = static_cast<WeightType>(t.type);
  const size_t kp = (m.cols + 3) / 4 * 4;
  const size_t panel_bytes = PanelSize(type, m.cols);
  for (size_t p = 0; p < panels; ++p) {
    const std::byte* panel =
        t.data.data() + ((first_unit + p / 2 * unit_step) * 2 + p % 2) * panel_bytes;
    if (IsQuantized(type)) {
      for (size_t r = 0; r < 16; ++r) {
        const size_t row = 16 * p + r;
        ExpectQuantizedRow(type, panel, r,
                           row < m.rows ? m.data + SourceRow(m, row) * m.cols : nullptr, m.cols);
      }
      continue;
    }
    for (size_t k = 0; k < kp; ++k) {
      for (size_t r = 0; r < 16; ++r) {
        const size_t row = 16 * p + r;
        float expected = 0;
        if (row < m.rows && k < m.cols) expected = m.data[SourceRow(m, row) * m.cols + k];
        if (type == WeightType::kF32) {
          ASSERT_EQ(std::memcmp(panel + 4 * (16 * k + r), &expected, 4), 0)
              << t.name << " row " << row << " k " << k;
          continue;
        }
        const bool f16 = type == WeightType::kF16;
        const size_t index = f16 ? 16 * k + r : 32 * (k / 2) + 2 * r + k % 2;
        ASSERT_EQ(HalfAt(panel, index), f16 ? F32ToF16(expected) : F32ToBF16(expected))
            << t.name << " row " << row << " k " << k;
      }
    }
  }
}

struct Expected {
  std::string name;
  const float* vector;
  size_t vector_size;
  const MatrixSource* first;
  const MatrixSource* second;
};

// By TVL_FORMAT.md, "Tensors".
std::vector<Expected> ExpectedTensors(const ModelSource& m) {
  std::vector<Expected> all;
  const size_t dim = m.config.dim;
  all.push_back(
      {"rope.inv_freq", m.rope_inv_freq.data(), m.rope_inv_freq.size(), nullptr, nullptr});
  if (!m.config.tied_classifier)
    all.push_back({"token_embedding", nullptr, 0, &m.embedding, nullptr});
  for (size_t i = 0; i < m.layers.size(); ++i) {
    const LayerSource& l = m.layers[i];
    const std::string layer = absl::StrCat("layers.", i, ".");
    all.push_back({layer + "attention_norm", l.attention_norm, dim, nullptr, nullptr});
    if (m.config.traits().qkv_bias) {
      all.push_back({layer + "bq", l.bq, m.config.q_dim(), nullptr, nullptr});
      all.push_back({layer + "bk", l.bk, m.config.kv_dim(), nullptr, nullptr});
      all.push_back({layer + "bv", l.bv, m.config.kv_dim(), nullptr, nullptr});
    }
    if (m.config.traits().output_bias) {
      all.push_back({layer + "bo", l.bo, dim, nullptr, nullptr});
      all.push_back({layer + "b1", l.b1, m.config.hidden_dim, nullptr, nullptr});
      all.push_back({layer + "b3", l.b3, m.config.hidden_dim, nullptr, nullptr});
      all.push_back({layer + "b2", l.b2, dim, nullptr, nullptr});
    }
    if (m.config.traits().qk_norm) {
      all.push_back({layer + "q_norm", l.q_norm, m.config.head_dim, nullptr, nullptr});
      all.push_back({layer + "k_norm", l.k_norm, m.config.head_dim, nullptr, nullptr});
    }
    all.push_back({layer + "wq", nullptr, 0, &l.wq, nullptr});
    all.push_back({layer + "wk", nullptr, 0, &l.wk, nullptr});
    all.push_back({layer + "wv", nullptr, 0, &l.wv, nullptr});
    all.push_back({layer + "wo", nullptr, 0, &l.wo, nullptr});
    all.push_back({layer + "ffn_norm", l.ffn_norm, dim, nullptr, nullptr});
    all.push_back({layer + "w13", nullptr, 0, &l.w1, &l.w3});
    all.push_back({layer + "w2", nullptr, 0, &l.w2, nullptr});
  }
  all.push_back({"final_norm", m.final_norm, dim, nullptr, nullptr});
  all.push_back(m.config.tied_classifier
                    ? Expected{"token_embedding", nullptr, 0, &m.embedding, nullptr}
                    : Expected{"classifier", nullptr, 0, &m.classifier, nullptr});
  return all;
}

void ExpectTensor(const TensorInfo& t, const Expected& e, WeightType type) {
  ASSERT_EQ(std::string(t.name), e.name);
  if (e.vector != nullptr) {
    EXPECT_EQ(t.type, 64u);
    EXPECT_EQ(t.rows, 1u);
    ASSERT_EQ(t.cols, e.vector_size);
    ASSERT_EQ(t.data.size(), (4 * e.vector_size + 63) / 64 * 64);
    EXPECT_EQ(std::memcmp(t.data.data(), e.vector, 4 * e.vector_size), 0) << t.name;
    for (size_t i = 4 * e.vector_size; i < t.data.size(); ++i) ASSERT_EQ(t.data[i], std::byte{0});
    return;
  }
  ASSERT_EQ(t.type, static_cast<uint32_t>(type));
  ASSERT_EQ(t.rows, e.first->rows);
  ASSERT_EQ(t.cols, e.first->cols);
  ASSERT_EQ(t.interleaved, e.second != nullptr);
  const size_t panels = (t.rows + 15) / 16;
  if (e.second == nullptr) {
    ExpectMatrix(t, *e.first, 0, 1, panels);
  } else {
    ExpectMatrix(t, *e.first, 0, 2, (panels + 1) / 2 * 2);
    ExpectMatrix(t, *e.second, 1, 2, (panels + 1) / 2 * 2);
  }
}

TEST(TvlFileTest, EveryTensorSurvivesTheRoundTrip) {
  for (const TestShape& shape : kShapes) {
    for (const WeightType type : kWeightTypes) {
      if (IsKQuant(type)) continue;  // KQuantsWhereRowsAllow
      SCOPED_TRACE(
          absl::StrCat("dim ", shape.dim, " hidden ", shape.hidden_dim, " ", WeightTypeName(type)));
      const TestModel model(shape);
      const TempTvl file(model.source(), type);
      const absl::StatusOr<TvlReader> reader = TvlReader::Parse(file.bytes(), "test");
      ASSERT_TRUE(reader.ok()) << reader.status();
      EXPECT_EQ(reader->config(), model.config());
      EXPECT_FALSE(reader->has_tokenizer());
      const std::vector<Expected> expected = ExpectedTensors(model.source());
      ASSERT_EQ(reader->tensors().size(), expected.size());
      for (size_t i = 0; i < expected.size(); ++i) {
        ExpectTensor(reader->tensors()[i], expected[i], type);
        EXPECT_EQ(reader->VerifyTensor(reader->tensors()[i]), absl::OkStatus());
      }
    }
  }
}

TEST(TvlFileTest, TensorsFollowEachOtherInExecutionOrderAndGapsAreZero) {
  for (const TestShape& shape : kShapes) {
    const TestModel model(shape);
    const TempTvl file(model.source());
    const absl::StatusOr<TvlReader> reader = TvlReader::Parse(file.bytes(), "test");
    ASSERT_TRUE(reader.ok()) << reader.status();
    uint64_t next = 65536;
    for (const TensorInfo& t : reader->tensors()) {
      EXPECT_EQ(t.offset, next) << t.name;
      EXPECT_EQ(t.offset % 64, 0u);
      next = t.offset + t.data.size();
    }
    EXPECT_EQ(next, file.bytes().size());
    const size_t head = 192 + reader->tensors().size() * sizeof(format::DirectoryEntry);
    for (size_t i = head; i < 65536; ++i) ASSERT_EQ(file.bytes()[i], std::byte{0}) << i;
  }
}

TEST(TvlFileTest, EveryRoleHasItsType) {
  Recipe types = WeightType::kF32;
  const std::pair<TensorRole, const char*> roles[] = {{TensorRole::kEmbedding, "token_embedding"},
                                                      {TensorRole::kWq, "layers.1.wq"},
                                                      {TensorRole::kWk, "layers.1.wk"},
                                                      {TensorRole::kWv, "layers.1.wv"},
                                                      {TensorRole::kWo, "layers.1.wo"},
                                                      {TensorRole::kW13, "layers.1.w13"},
                                                      {TensorRole::kW2, "layers.1.w2"},
                                                      {TensorRole::kClassifier, "classifier"}};
  uint32_t number = 0;
  for (const auto& [role, name] : roles) types[role] = kWeightTypes[number++ % 6];
  const TestModel model({.tied = false});
  const std::string path = testing::UniqueTempPath();
  ASSERT_EQ(WriteTvl(model.source(), "", path, {.types = types}), absl::OkStatus());
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  const absl::StatusOr<TvlReader> reader = TvlReader::Parse(file->bytes(), path);
  ASSERT_TRUE(reader.ok()) << reader.status();
  uint64_t bytes = 0, weights = 0;
  for (const TensorInfo& t : reader->tensors()) {
    if (t.type == format::kTypeVector) continue;
    bytes += t.data.size();
    weights += t.rows * t.cols * (t.interleaved ? 2 : 1);
    const std::string name = absl::StrReplaceAll(t.name, {{"layers.0", "layers.1"}});
    for (const auto& [role, role_name] : roles) {
      if (name != role_name) continue;
      EXPECT_EQ(t.type, static_cast<uint32_t>(*types[role])) << t.name;
    }
  }
  EXPECT_EQ(SummarizeTvl(model.source(), types).bits_per_weight,
            static_cast<double>(bytes) * 8 / static_cast<double>(weights));
  std::remove(path.c_str());
}

// Only matrices whose rows are whole superblocks get K-quants.
TEST(TvlFileTest, KQuantsWhereRowsAllow) {
  const TestModel model({.dim = 256, .hidden_dim = 320, .n_heads = 8, .n_kv_heads = 2});
  const std::pair<WeightType, WeightType> cases[] = {{WeightType::kQ4K, WeightType::kQ4M},
                                                     {WeightType::kQ5K, WeightType::kQ8},
                                                     {WeightType::kQ6K, WeightType::kQ8}};
  for (const auto& [type, instead] : cases) {
    SCOPED_TRACE(WeightTypeName(type));
    const TempTvl file(model.source(), type);
    const absl::StatusOr<TvlReader> reader = TvlReader::Parse(file.bytes(), "test");
    ASSERT_TRUE(reader.ok()) << reader.status();
    for (const TensorInfo& t : reader->tensors()) {
      if (t.type == format::kTypeVector) continue;
      EXPECT_EQ(t.type, static_cast<uint32_t>(t.cols == 320 ? instead : type)) << t.name;
    }
    // Row by row against the quantiser; the packing itself is tile_packer_test's.
    const TileMatrix& wo = reader->view().layer(1).wo;
    const MatrixSource& source = model.source().layers[1].wo;
    for (const size_t row : {0, 17, 255}) {
      const QuantizedSuperblock expected = QuantizeSuperblock(type, source.Row(row), kKSuperblock);
      const std::byte* panel = wo.Panel(row / 16);
      EXPECT_EQ(HalfAt(panel, row % 16), expected.scale);
      EXPECT_EQ(HalfAt(panel, 16 + row % 16), expected.minimum);
    }
    const TvlSummary summary = SummarizeTvl(model.source(), type);
    ASSERT_EQ(summary.replaced.size(), 1u);
    EXPECT_EQ(summary.replaced[0].wanted, type);
    EXPECT_EQ(summary.replaced[0].used, instead);
    EXPECT_EQ(summary.replaced[0].cols, 320u);
    EXPECT_EQ(summary.replaced[0].matrices, 2u);
    EXPECT_EQ(SummarizeTvl(model.source(), WeightType::kQ8).replaced.size(), 0u);
  }
}

void ExpectView(const TileMatrix& view, const TensorInfo& t) {
  EXPECT_EQ(view.data, t.data.data());
  EXPECT_EQ(static_cast<uint32_t>(view.type), t.type);
  EXPECT_EQ(view.rows, t.rows);
  EXPECT_EQ(view.cols, t.cols);
}

TEST(TvlFileTest, TheViewPointsIntoTheFile) {
  for (const bool tied : {true, false}) {
    const TestModel model({.tied = tied});
    const TempTvl file(model.source(), WeightType::kF16);
    absl::StatusOr<TvlReader> parsed = TvlReader::Parse(file.bytes(), "test");
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    const TvlReader::View view = parsed->view();
    const TvlReader reader = *std::move(parsed);  // views survive moves of the reader
    const auto find = [&](const std::string& name) -> const TensorInfo& {
      for (const TensorInfo& t : reader.tensors()) {
        if (t.name == name) return t;
      }
      ADD_FAILURE() << name;
      return reader.tensors()[0];
    };
    ExpectView(view.embedding(), find("token_embedding"));
    ExpectView(view.classifier(), find(tied ? "token_embedding" : "classifier"));
    for (size_t i = 0; i < 2; ++i) {
      const std::string layer = absl::StrCat("layers.", i, ".");
      ExpectView(view.layer(i).wq, find(layer + "wq"));
      ExpectView(view.layer(i).wk, find(layer + "wk"));
      ExpectView(view.layer(i).wv, find(layer + "wv"));
      ExpectView(view.layer(i).wo, find(layer + "wo"));
      ExpectView(view.layer(i).w13.first, find(layer + "w13"));
      ExpectView(view.layer(i).w2, find(layer + "w2"));
      EXPECT_EQ(view.layer(i).w13.second.Panel(0), view.layer(i).w13.first.Panel(2) - 2 * 36 * 32);
      EXPECT_EQ(view.layer(i).attention_norm.size(), 36u);
      EXPECT_EQ(view.layer(i).attention_norm[5], model.source().layers[i].attention_norm[5]);
      EXPECT_EQ(view.layer(i).ffn_norm[35], model.source().layers[i].ffn_norm[35]);
    }
    EXPECT_EQ(view.final_norm()[1], model.source().final_norm[1]);
    EXPECT_EQ(view.rope_inv_freq().size(), 3u);
    uint64_t bytes = 0;
    for (const TensorInfo& t : reader.tensors()) bytes += t.data.size();
    EXPECT_EQ(reader.BytesPerToken(), bytes - (tied ? 0 : find("token_embedding").data.size()));
  }
}

TEST(TvlFileTest, AnImportedCheckpointGivesTheSameFile) {
  for (const TestShape& shape : kShapes) {
    // llama2.c has no others, and turns whole heads.
    if (shape.architecture != Architecture::kLlama || shape.rope_dims != 0) continue;
    const TestModel model(shape);
    const std::string bytes = model.Llama2cCheckpoint();
    std::vector<float> aligned((bytes.size() + 3) / 4);
    std::memcpy(aligned.data(), bytes.data(), bytes.size());
    const absl::StatusOr<ModelSource> imported =
        ImportLlama2c(std::as_bytes(std::span(aligned)).first(bytes.size()));
    ASSERT_TRUE(imported.ok()) << imported.status();
    const TempTvl direct(model.source()), converted(*imported);
    ASSERT_EQ(direct.bytes().size(), converted.bytes().size());
    EXPECT_EQ(std::memcmp(direct.bytes().data(), converted.bytes().data(), direct.bytes().size()),
              0);
  }
}

// These numbers are the same on every host and compiler; a change of the format or of the writer
// changes them.
TEST(TvlFileTest, SameBytesEverywhere) {
  const TestModel model({.tied = false});
  const struct {
    WeightType type;
    uint64_t hash;
  } cases[] = {{WeightType::kF32, 3738273575831366809u},   {WeightType::kF16, 4192541546780187798u},
               {WeightType::kBF16, 16076287808364806426u}, {WeightType::kQ8, 16234857489258886577u},
               {WeightType::kQ4, 11184390683745345727u},   {WeightType::kQ4M, 168233859308352760u}};
  for (const auto& c : cases) {
    const TempTvl first(model.source(), c.type), second(model.source(), c.type);
    EXPECT_EQ(XXH3_64bits(first.bytes().data(), first.bytes().size()), c.hash);
    EXPECT_EQ(XXH3_64bits(second.bytes().data(), second.bytes().size()), c.hash);
  }
}

TEST(TvlFileTest, HalvesRoundToNearestEvenAndKeepSpecialValues) {
  const struct {
    float number;
    uint16_t f16;
    uint16_t bf16;
  } cases[] = {
      {1.0f, 0x3c00, 0x3f80},      {0x1.002p0f, 0x3c00, 0x3f80}, {0x1.006p0f, 0x3c02, 0x3f80},
      {0x1.01p0f, 0x3c04, 0x3f80}, {0x1.03p0f, 0x3c0c, 0x3f82},  {65519.0f, 0x7bff, 0x4780},
      {65520.0f, 0x7c00, 0x4780},  {-1e30f, 0xfc00, 0xf14a},     {0x1p-24f, 0x0001, 0x3380},
      {0x1p-25f, 0x0000, 0x3300},  {0x1.8p-25f, 0x0001, 0x3340}, {-0.0f, 0x8000, 0x8000},
      {3.4e38f, 0x7c00, 0x7f80}};
  // A matrix of chosen numbers in place of the first layer's wo.
  std::vector<float> values(36 * 36, 0.0f);
  for (size_t k = 0; k < std::size(cases); ++k) values[k] = cases[k].number;
  const TestModel model({});
  ModelSource source = model.source();
  source.layers[0].wo.data = values.data();
  for (const WeightType type : {WeightType::kF16, WeightType::kBF16}) {
    const TempTvl file(source, type);
    const absl::StatusOr<TvlReader> reader = TvlReader::Parse(file.bytes(), "test");
    ASSERT_TRUE(reader.ok()) << reader.status();
    const auto* panel = reinterpret_cast<const uint16_t*>(reader->view().layer(0).wo.Panel(0));
    for (size_t k = 0; k < std::size(cases); ++k) {
      if (type == WeightType::kF16) {
        EXPECT_EQ(panel[TileIndexF16(0, k)], cases[k].f16) << cases[k].number;
      } else {
        EXPECT_EQ(panel[TileIndexBF16(0, k)], cases[k].bf16) << cases[k].number;
      }
    }
  }
}

}  // namespace
}  // namespace tvl
