// How well real models predict a held-out text: f32 as double precision says, and how much each
// quantised type loses. Arguments: the text, then for each model its checkpoint and tokenizer.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/selected.h"
#include "core/kv_slot.h"
#include "core/mapped_file.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "models/import/llama2c.h"
#include "models/import/llama2c_tokenizer.h"
#include "models/recipe.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"
#include "tests/accuracy/llama2c_oracle.h"
#include "tests/support/test_model.h"
#include "tools/evaluation.h"

namespace tvl {
namespace {

using testing::Llama2cOracle;
using testing::TempTvl;
using EngineType = Engine<SelectedKernel>;

MappedFile OpenFile(const std::string& path) {
  absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  EXPECT_TRUE(file.ok()) << file.status();
  return *std::move(file);
}

// A published checkpoint and the text in its tokens.
class Subject {
 public:
  Subject(const std::string& checkpoint, const std::string& tokenizer, const std::string& text)
      : checkpoint_(OpenFile(checkpoint)),
        vocabulary_(OpenFile(tokenizer)),
        source_(*ImportLlama2c(checkpoint_.bytes())) {
    const std::string section =
        SerializeTokenizer(*ImportLlama2cTokenizer(vocabulary_.bytes(), source_.config.vocab_size));
    const TempTvl file(source_, WeightType::kF32, section);
    const auto engine = EngineType::FromBytes(file.bytes(), "test", {.threads = 1});
    const auto tokenizer_view = Tokenizer::Create((*engine)->reader().tokenizer());
    const MappedFile words = OpenFile(text);
    const std::string_view all(reinterpret_cast<const char*>(words.bytes().data()),
                               words.bytes().size());
    tokenizer_view->Encode(all, {.bos = false, .eos = false}, &tokens_);
  }

  const std::byte* checkpoint() const { return checkpoint_.bytes().data(); }
  std::span<const TokenId> tokens() const { return tokens_; }

  // Nats per token of the first `count` tokens, in windows of `window`, with weights and a KV cache
  // of these types.
  double Nats(const Recipe& types, size_t window, size_t count,
              KvType kv_type = KvType::kF32) const {
    const TempTvl file(source_, types);
    const auto engine = EngineType::FromBytes(file.bytes(), "test", {.threads = 2});
    auto evaluator = Evaluator<SelectedKernel>::Create(engine->get(), nullptr, window, kv_type);
    EXPECT_TRUE(evaluator.ok()) << evaluator.status();
    const auto result = evaluator->Run(std::span(tokens_).first(std::min(count, tokens_.size())),
                                       kBos, [](uint64_t, uint64_t) {});
    EXPECT_TRUE(result.ok()) << result.status();
    return result->nats.mean();
  }

  static constexpr TokenId kBos = 1;

 private:
  MappedFile checkpoint_;
  MappedFile vocabulary_;
  ModelSource source_;
  std::vector<TokenId> tokens_;
};

double OracleNats(const Subject& subject, size_t window, size_t count) {
  double total = 0;
  for (size_t at = 0; at < count; at += window - 1) {
    Llama2cOracle oracle(subject.checkpoint());
    TokenId input = Subject::kBos;
    for (size_t i = at; i < std::min(count, at + window - 1); ++i) {
      const std::vector<double> logits = oracle.Step(static_cast<size_t>(input));
      double sum = 0;
      for (const double logit : logits) sum += std::exp(logit);
      input = subject.tokens()[i];
      total += std::log(sum) - logits[static_cast<size_t>(input)];
    }
  }
  return total / static_cast<double>(count);
}

// Of perplexity, relative to another's.
double Loss(double nats, double other_nats) { return std::exp(nats - other_nats) - 1; }

constexpr size_t kWindow = 256;
constexpr size_t kAll = SIZE_MAX;

void ExpectF32IsRight(const Subject& subject) {
  constexpr size_t kCount = 1000;
  const double loss =
      Loss(subject.Nats(WeightType::kF32, kWindow, kCount), OracleNats(subject, kWindow, kCount));
  std::printf("f32 against double precision: %+.2e\n", loss);
  EXPECT_LT(std::abs(loss), 1e-5);
}

void ExpectLoss(const Subject& subject, double f32_nats, const char* what, const Recipe& types,
                double bound) {
  const double loss = Loss(subject.Nats(types, kWindow, kAll), f32_nats);
  std::printf("%s: %+.3f%%\n", what, 100 * loss);
  EXPECT_LT(std::abs(loss), bound) << what;
}

// What the KV cache loses, with weights of f32.
void ExpectKvLosses(const Subject& subject, double f32_nats, double q8_bound) {
  for (const auto& [type, bound] : {std::pair{KvType::kF16, 1e-4}, {KvType::kQ8, q8_bound}}) {
    const double loss = Loss(subject.Nats(WeightType::kF32, kWindow, kAll, type), f32_nats);
    std::printf("KV cache of %s: %+.4f%%\n", KvTypeName(type), 100 * loss);
    EXPECT_LT(std::abs(loss), bound) << KvTypeName(type);
  }
}

Recipe Types(WeightType all, const std::string& recipe) {
  Recipe types = all;
  const auto steps = ParseRecipe(recipe);
  EXPECT_TRUE(steps.ok()) << steps.status();
  for (const RecipeStep& step : *steps) types[step.role] = step.type;
  return types;
}

std::vector<std::string> arguments;

TEST(TextPerplexityTest, EmbeddedModel) {
  const Subject subject(arguments[1], arguments[2], arguments[0]);
  ExpectF32IsRight(subject);
  const double f32 = subject.Nats(WeightType::kF32, kWindow, kAll);
  ExpectKvLosses(subject, f32, 0.001);
  ExpectLoss(subject, f32, "q8", WeightType::kQ8, 0.001);
  ExpectLoss(subject, f32, "q4m", WeightType::kQ4M, 0.03);
  ExpectLoss(subject, f32, "q4", WeightType::kQ4, 0.03);
}

// Rows of 64 and 172 numbers have few to spare: with 4 bits throughout it loses 7 to 10%.
TEST(TextPerplexityTest, Stories260K) {
  const Subject subject(arguments[3], arguments[4], arguments[0]);
  ExpectF32IsRight(subject);
  const double f32 = subject.Nats(WeightType::kF32, kWindow, kAll);
  // Its heads have 8 dimensions: half of them are rounded by the largest of so few.
  ExpectKvLosses(subject, f32, 0.0015);
  ExpectLoss(subject, f32, "q8", WeightType::kQ8, 0.001);
  ExpectLoss(subject, f32, "q4m", Types(WeightType::kQ4M, "embedding=q8,attention=q8,w2=q8"), 0.03);
  ExpectLoss(subject, f32, "q4", Types(WeightType::kQ4, "embedding=q8,ffn=q8"), 0.03);
}

}  // namespace
}  // namespace tvl

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  tvl::arguments.assign(argv + 1, argv + argc);
  if (tvl::arguments.size() != 5) return 2;
  return RUN_ALL_TESTS();
}
