#include "tests/support/test_model.h"

#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/canonical_math.h"
#include "core/model_config.h"
#include "core/philox.h"
#include "gtest/gtest.h"

namespace tvl::testing {
namespace {

ModelConfig MakeConfig(const TestShape& shape) {
  ModelConfig c;
  c.dim = shape.dim;
  c.hidden_dim = shape.hidden_dim;
  c.n_layers = shape.n_layers;
  c.n_heads = shape.n_heads;
  c.n_kv_heads = shape.n_kv_heads;
  c.head_dim = shape.head_dim != 0 ? shape.head_dim : shape.dim / shape.n_heads;
  c.vocab_size = shape.vocab_size;
  c.context_length = shape.context_length;
  c.tied_classifier = shape.tied;
  c.norm_epsilon = 1e-5f;
  c.attention_scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(c.head_dim)));
  c.rope_dims = shape.rope_dims != 0 ? shape.rope_dims : c.head_dim;
  c.rope_base = 10000;
  c.architecture = shape.architecture;
  c.sliding_window = shape.sliding_window;
  return c;
}

template <typename T>
void Append(std::string* out, const T* values, size_t count) {
  out->append(reinterpret_cast<const char*>(values), count * sizeof(T));
}

void Append(std::string* out, const MatrixSource& m) {
  Append(out, m.data, size_t{m.rows} * m.cols);
}

}  // namespace

TestModel::TestModel(const TestShape& shape, uint64_t seed) : seed_(seed) {
  source_.config = MakeConfig(shape);
  const ModelConfig& c = source_.config;
  for (uint32_t i = 0; i < c.rope_dims / 2; ++i) {
    source_.rope_inv_freq.push_back(
        static_cast<float>(CanonicalPow(10000, -2.0 * i / c.rope_dims)));
  }
  const uint32_t pairs = c.rope_dims == c.head_dim ? c.head_dim : 0;
  source_.embedding = Matrix(c.vocab_size, c.dim);
  source_.layers.resize(c.n_layers);
  for (LayerSource& layer : source_.layers) {
    layer.attention_norm = Fill(c.dim, 1, 0.25f);
    if (c.traits().qkv_bias) {
      layer.bq = Fill(c.q_dim(), 0, 1);
      layer.bk = Fill(c.kv_dim(), 0, 1);
      layer.bv = Fill(c.kv_dim(), 0, 1);
    }
    if (c.traits().output_bias) {
      layer.bo = Fill(c.dim, 0, 1);
      layer.b1 = Fill(c.hidden_dim, 0, 1);
      layer.b3 = Fill(c.hidden_dim, 0, 1);
      layer.b2 = Fill(c.dim, 0, 1);
    }
    if (c.traits().qk_norm) {
      layer.q_norm = Fill(c.head_dim, 1, 0.25f);
      layer.k_norm = Fill(c.head_dim, 1, 0.25f);
    }
    layer.wq = Matrix(c.q_dim(), c.dim, pairs);
    layer.wk = Matrix(c.kv_dim(), c.dim, pairs);
    layer.wv = Matrix(c.kv_dim(), c.dim);
    layer.wo = Matrix(c.dim, c.q_dim());
    layer.ffn_norm = Fill(c.dim, 1, 0.25f);
    layer.w1 = Matrix(c.hidden_dim, c.dim);
    layer.w2 = Matrix(c.dim, c.hidden_dim);
    layer.w3 = Matrix(c.hidden_dim, c.dim);
  }
  source_.final_norm = Fill(c.dim, 1, 0.25f);
  if (!c.tied_classifier) source_.classifier = Matrix(c.vocab_size, c.dim);
}

const float* TestModel::Fill(size_t count, float center, float radius) {
  std::vector<float>& values = owned_.emplace_back(count);
  for (float& value : values) value = center + radius * (2 * UniformFloat(seed_, drawn_++) - 1);
  return values.data();
}

MatrixSource TestModel::Matrix(uint32_t rows, uint32_t cols, uint32_t interleaved_head_dim) {
  const float radius = std::sqrt(3.0f / static_cast<float>(cols));
  return {Fill(size_t{rows} * cols, 0, radius), rows, cols, interleaved_head_dim};
}

std::string TestModel::Llama2cCheckpoint() const {
  const ModelConfig& c = source_.config;
  const auto field = [](uint32_t value) { return static_cast<int32_t>(value); };
  const int32_t header[] = {
      field(c.dim),           field(c.hidden_dim),
      field(c.n_layers),      field(c.n_heads),
      field(c.n_kv_heads),    c.tied_classifier ? field(c.vocab_size) : -field(c.vocab_size),
      field(c.context_length)};
  std::string out;
  Append(&out, header, std::size(header));
  Append(&out, source_.embedding);
  const auto& layers = source_.layers;
  for (const LayerSource& l : layers) Append(&out, l.attention_norm, c.dim);
  for (const LayerSource& l : layers) Append(&out, l.wq);
  for (const LayerSource& l : layers) Append(&out, l.wk);
  for (const LayerSource& l : layers) Append(&out, l.wv);
  for (const LayerSource& l : layers) Append(&out, l.wo);
  for (const LayerSource& l : layers) Append(&out, l.ffn_norm, c.dim);
  for (const LayerSource& l : layers) Append(&out, l.w1);
  for (const LayerSource& l : layers) Append(&out, l.w2);
  for (const LayerSource& l : layers) Append(&out, l.w3);
  Append(&out, source_.final_norm, c.dim);
  // Where llama2.c kept its tables of cosines and sines: junk, so that nobody uses it.
  const std::vector<float> tables(size_t{c.context_length} * c.head_dim, 1e30f);
  Append(&out, tables.data(), tables.size());
  if (!c.tied_classifier) Append(&out, source_.classifier);
  return out;
}

std::string UniqueTempPath() {
  static std::atomic<int> counter{0};
  return absl::StrCat(::testing::TempDir(), "tvl_test.", getpid(), ".", counter++);
}

namespace {

MappedFile OpenOrDie(const std::string& path) {
  absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) {
    // Without its model a test cannot say anything.
    std::fprintf(stderr, "%s\n", file.status().ToString().c_str());
    std::abort();
  }
  return *std::move(file);
}

}  // namespace

std::string TempTvl::Write(const ModelSource& model, const Recipe& types,
                           const std::string& tokenizer_section) {
  std::string path = UniqueTempPath();
  TvlWriteOptions options;
  options.types = types;
  EXPECT_EQ(WriteTvl(model, tokenizer_section, path, options), absl::OkStatus());
  return path;
}

TempTvl::TempTvl(const ModelSource& model, const Recipe& types,
                 const std::string& tokenizer_section)
    : path_(Write(model, types, tokenizer_section)), file_(OpenOrDie(path_)) {}

TempTvl::~TempTvl() { unlink(path_.c_str()); }

}  // namespace tvl::testing
