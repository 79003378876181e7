// The engine's logits against an independent forward pass in double precision.
//
// The bound is on max |a - b| / max |b| over the logits of a position.
//
// Checkpoints whose paths are given as arguments are tested, too.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/selected.h"
#include "core/kv_slot.h"
#include "core/mapped_file.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "models/import/llama2c.h"
#include "samplers/greedy.h"
#include "tests/accuracy/llama2c_oracle.h"
#include "tests/support/test_model.h"

namespace tvl {
namespace {

using testing::Llama2cOracle;
using testing::TempTvl;
using testing::TestModel;
using testing::TestShape;

double RelativeError(std::span<const float> found, const std::vector<double>& expected) {
  EXPECT_EQ(found.size(), expected.size());
  double difference = 0, magnitude = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    // Written so that a NaN counts as infinitely wrong.
    const double d = std::abs(static_cast<double>(found[i]) - expected[i]);
    difference = d <= difference ? difference : (d == d ? d : HUGE_VAL);
    magnitude = std::max(magnitude, std::abs(expected[i]));
  }
  return difference / magnitude;
}

// The worst error over a prompt, run in chunks, and a greedy continuation, run token by token.
double WorstError(std::span<const std::byte> checkpoint, size_t prompt_tokens, size_t new_tokens) {
  const absl::StatusOr<ModelSource> source = ImportLlama2c(checkpoint);
  EXPECT_TRUE(source.ok()) << source.status();
  const TempTvl file(*source);
  const auto engine = Engine<SelectedKernel>::FromBytes(file.bytes(), "test", {.threads = 2});
  EXPECT_TRUE(engine.ok()) << engine.status();
  auto session =
      (*engine)->NewSession({.prefill_chunk = 13, .kv_type = KvType::kF32, .all_logits = true});
  EXPECT_TRUE(session.ok()) << session.status();

  Llama2cOracle oracle(checkpoint.data());
  std::vector<TokenId> prompt;
  for (size_t i = 0; i < prompt_tokens; ++i) {
    prompt.push_back(static_cast<TokenId>((i * i * 7 + i * 3 + 1) % source->config.vocab_size));
  }
  double worst = 0;
  size_t position = 0;
  const absl::Status status = session->PrefillAll(prompt, [&](std::span<const float> logits) {
    worst = std::max(worst,
                     RelativeError(logits, oracle.Step(static_cast<size_t>(prompt[position++]))));
  });
  EXPECT_EQ(status, absl::OkStatus());
  EXPECT_EQ(position, prompt_tokens);
  for (size_t i = 0; i < new_tokens; ++i) {
    const TokenId token = Greedy().Sample(session->logits(), {});
    EXPECT_EQ(session->Step(token), absl::OkStatus());
    worst =
        std::max(worst, RelativeError(session->logits(), oracle.Step(static_cast<size_t>(token))));
  }
  return worst;
}

constexpr double kBound = 1e-5;

TEST(ModelOracleTest, RandomModels) {
  const struct {
    const char* what;
    TestShape shape;
  } cases[] = {
      {"grouped queries, tied",
       {.dim = 64, .hidden_dim = 172, .n_heads = 8, .n_kv_heads = 4, .context_length = 130}},
      {"one head per kv head, untied",
       {.dim = 48,
        .hidden_dim = 127,
        .n_layers = 3,
        .n_heads = 6,
        .n_kv_heads = 6,
        .context_length = 130,
        .tied = false}},
      {"one kv head, heads of 6",
       {.dim = 36,
        .hidden_dim = 51,
        .n_heads = 6,
        .n_kv_heads = 1,
        .context_length = 130,
        .tied = false}},
      {"heads of 10",
       {.dim = 50,
        .hidden_dim = 33,
        .n_heads = 5,
        .n_kv_heads = 5,
        .vocab_size = 101,
        .context_length = 130}},
      {"one head of 2, hidden size 1",
       {.dim = 2,
        .hidden_dim = 1,
        .n_layers = 1,
        .n_heads = 1,
        .n_kv_heads = 1,
        .vocab_size = 5,
        .context_length = 130}},
      {"deep",
       {.dim = 32,
        .hidden_dim = 65,
        .n_layers = 12,
        .n_heads = 4,
        .n_kv_heads = 2,
        .context_length = 130}},
  };
  for (const auto& c : cases) {
    const TestModel model(c.shape);
    const std::string bytes = model.Llama2cCheckpoint();
    std::vector<float> aligned(bytes.size() / sizeof(float));
    std::memcpy(aligned.data(), bytes.data(), bytes.size());
    const double worst = WorstError(std::as_bytes(std::span(aligned)), 100, 28);
    std::printf("%s: max |a - b| / max |b| = %.3g\n", c.what, worst);
    EXPECT_LT(worst, kBound) << c.what;
  }
}

// One test for every checkpoint that the command line names.
class CheckpointTest : public ::testing::Test {
 public:
  explicit CheckpointTest(std::string path) : path_(std::move(path)) {}

  void TestBody() override {
    const absl::StatusOr<MappedFile> file = MappedFile::Open(path_);
    ASSERT_TRUE(file.ok()) << file.status();
    const double worst = WorstError(file->bytes(), 100, 150);
    std::printf("%s: max |a - b| / max |b| = %.3g\n", path_.c_str(), worst);
    EXPECT_LT(worst, kBound);
  }

 private:
  const std::string path_;
};

}  // namespace
}  // namespace tvl

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::string path = argv[i];
    ::testing::RegisterTest("CheckpointOracleTest", ("Logits" + std::to_string(i)).c_str(), nullptr,
                            path.c_str(), __FILE__, __LINE__,
                            [=] { return new tvl::CheckpointTest(path); });
  }
  return RUN_ALL_TESTS();
}
