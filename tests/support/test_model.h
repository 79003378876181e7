// Random models for tests: any shape, the same weights on every machine.
#ifndef TVL_TESTS_SUPPORT_TEST_MODEL_H_
#define TVL_TESTS_SUPPORT_TEST_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/architecture.h"
#include "core/mapped_file.h"
#include "core/tile.h"
#include "models/recipe.h"
#include "models/tvl_writer.h"

namespace tvl::testing {

// The default is small, uses grouped queries, and is a multiple of nothing.
struct TestShape {
  uint32_t dim = 36;
  uint32_t hidden_dim = 50;
  uint32_t n_layers = 2;
  uint32_t n_heads = 6;
  uint32_t n_kv_heads = 2;
  uint32_t head_dim = 0;   // 0: dim / n_heads
  uint32_t rope_dims = 0;  // 0: head_dim
  uint32_t vocab_size = 67;
  uint32_t context_length = 40;
  bool tied = true;
  Architecture architecture = Architecture::kLlama;
  uint32_t sliding_window = 0;
};

// Owns the weights that source() points to. Weights are uniform with the variance that keeps
// activations near 1; random bits come from Philox and no libm takes part. Query and key rows are
// in llama2.c's order, RoPE pairs (2i, 2i + 1), unless rope_dims is not head_dim, which llama2.c
// cannot say.
class TestModel {
 public:
  explicit TestModel(const TestShape& shape, uint64_t seed = 1);
  TestModel(const TestModel&) = delete;
  TestModel& operator=(const TestModel&) = delete;

  const ModelSource& source() const { return source_; }
  const ModelConfig& config() const { return source_.config; }

  // The same model as a llama2.c checkpoint of version 0. REQUIRES: head_dim and rope_dims as by
  // default.
  std::string Llama2cCheckpoint() const;

 private:
  const float* Fill(size_t count, float center, float radius);
  MatrixSource Matrix(uint32_t rows, uint32_t cols, uint32_t interleaved_head_dim = 0);

  uint64_t seed_;
  uint64_t drawn_ = 0;
  std::vector<std::vector<float>> owned_;
  ModelSource source_;
};

// A .tvl file in the test's temporary folder, mapped, and removed at the end.
class TempTvl {
 public:
  // Fails the test if the file cannot be written.
  explicit TempTvl(const ModelSource& model, const Recipe& types = WeightType::kF32,
                   const std::string& tokenizer_section = "");
  ~TempTvl();
  TempTvl(const TempTvl&) = delete;
  TempTvl& operator=(const TempTvl&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return file_.bytes(); }

 private:
  static std::string Write(const ModelSource& model, const Recipe& types,
                           const std::string& tokenizer_section);

  std::string path_;
  MappedFile file_;
};

// A path in the test's temporary folder that no other test or process uses.
std::string UniqueTempPath();

}  // namespace tvl::testing

#endif  // TVL_TESTS_SUPPORT_TEST_MODEL_H_
