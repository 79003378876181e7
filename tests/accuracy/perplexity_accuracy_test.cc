// What //tools:evaluation says of a text, against a computation that shares nothing with it: the
// double precision oracle's logits, and libm's exponentials in long double.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "backends/selected.h"
#include "core/kv_slot.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "tests/accuracy/llama2c_oracle.h"
#include "tests/support/test_model.h"
#include "tools/evaluation.h"

namespace tvl {
namespace {

using testing::Llama2cOracle;
using testing::TempTvl;
using testing::TestModel;
using testing::TestShape;

using EngineType = Engine<SelectedKernel>;
using Real = long double;

constexpr TestShape kShape = {.dim = 36, .hidden_dim = 50, .vocab_size = 67, .context_length = 90};

std::vector<TokenId> Text(size_t tokens) {
  std::vector<TokenId> text;
  for (size_t i = 0; i < tokens; ++i)
    text.push_back(static_cast<TokenId>((i * i * 5 + i * 3 + 1) % kShape.vocab_size));
  return text;
}

std::unique_ptr<EngineType> Open(const TempTvl& file, size_t threads) {
  auto engine = EngineType::FromBytes(file.bytes(), "test", {.threads = threads});
  EXPECT_TRUE(engine.ok()) << engine.status();
  return *std::move(engine);
}

Evaluation Evaluate(EngineType* model, EngineType* other, size_t window,
                    std::span<const TokenId> text, TokenId bos) {
  auto evaluator = Evaluator<SelectedKernel>::Create(model, other, window, KvType::kF32);
  EXPECT_TRUE(evaluator.ok()) << evaluator.status();
  const auto result = evaluator->Run(text, bos, [](uint64_t, uint64_t) {});
  EXPECT_TRUE(result.ok()) << result.status();
  return *result;
}

std::vector<Real> LogProbabilities(const std::vector<double>& logits) {
  Real sum = 0;
  for (const double logit : logits) sum += std::exp(static_cast<Real>(logit));
  std::vector<Real> result;
  result.reserve(logits.size());
  for (const double logit : logits) result.push_back(logit - std::log(sum));
  return result;
}

// Of each window in turn, the log probabilities (vocab_size) before each target. `window` counts
// the token that leads it.
std::vector<std::vector<Real>> OraclePredictions(const TestModel& model, size_t window,
                                                 std::span<const TokenId> text, TokenId bos) {
  const std::string checkpoint = model.Llama2cCheckpoint();
  std::vector<std::vector<Real>> predictions;
  for (size_t at = bos < 0 ? 1 : 0; at < text.size(); at += window - 1) {
    Llama2cOracle oracle(reinterpret_cast<const std::byte*>(checkpoint.data()));
    TokenId input = bos < 0 ? text[at - 1] : bos;
    for (size_t i = at; i < std::min(text.size(), at + window - 1); ++i) {
      predictions.push_back(LogProbabilities(oracle.Step(static_cast<size_t>(input))));
      input = text[i];
    }
  }
  return predictions;
}

struct Expected {
  Real mean = 0;
  Real error = 0;
};

Expected MeanOf(const std::vector<Real>& values) {
  const Real n = static_cast<Real>(values.size());
  Expected e;
  for (const Real v : values) e.mean += v / n;
  Real squares = 0;
  for (const Real v : values) squares += (v - e.mean) * (v - e.mean);
  e.error = std::sqrt(squares / (n - 1) / n);
  return e;
}

void ExpectNear(const Mean& found, const std::vector<Real>& values) {
  const Expected expected = MeanOf(values);
  ASSERT_EQ(found.count(), values.size());
  EXPECT_NEAR(found.mean(), static_cast<double>(expected.mean), 1e-6);
  EXPECT_NEAR(found.standard_error(), static_cast<double>(expected.error), 1e-6);
}

TEST(PerplexityAccuracyTest, OneModel) {
  const TestModel model(kShape);
  const TempTvl file(model.source());
  const auto engine = Open(file, 2);
  const std::vector<TokenId> text = Text(200);
  for (const TokenId bos : {1, -1}) {
    // More than a chunk of prefill, less, and the least; windows that the text fills and does not.
    for (const size_t window : {90, 21, 2}) {
      const auto predictions = OraclePredictions(model, window, text, bos);
      const size_t first = bos < 0 ? 1 : 0;
      std::vector<Real> nats;
      for (size_t i = 0; i < predictions.size(); ++i)
        nats.push_back(-predictions[i][static_cast<size_t>(text[first + i])]);
      const Evaluation found = Evaluate(engine.get(), nullptr, window, text, bos);
      ExpectNear(found.nats, nats);
      EXPECT_EQ(found.nats.count(), text.size() - first);
      EXPECT_EQ(found.windows, (text.size() - first + window - 2) / (window - 1));
    }
  }
}

TEST(PerplexityAccuracyTest, BesideAnother) {
  const TestModel model(kShape, 1), other(kShape, 2);
  const TempTvl model_file(model.source()), other_file(other.source());
  const auto model_engine = Open(model_file, 1), other_engine = Open(other_file, 2);
  const std::vector<TokenId> text = Text(150);
  constexpr TokenId kBos = 1;
  constexpr size_t kWindow = 80;
  const auto p = OraclePredictions(other, kWindow, text, kBos);
  const auto q = OraclePredictions(model, kWindow, text, kBos);
  std::vector<Real> nats, other_nats, differences, divergences;
  uint64_t agreements = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t target = static_cast<size_t>(text[i]);
    nats.push_back(-q[i][target]);
    other_nats.push_back(-p[i][target]);
    differences.push_back(p[i][target] - q[i][target]);
    Real divergence = 0;
    for (size_t v = 0; v < p[i].size(); ++v) divergence += std::exp(p[i][v]) * (p[i][v] - q[i][v]);
    divergences.push_back(divergence);
    if (std::ranges::max_element(p[i]) - p[i].begin() ==
        std::ranges::max_element(q[i]) - q[i].begin())
      ++agreements;
  }
  const Evaluation found = Evaluate(model_engine.get(), other_engine.get(), kWindow, text, kBos);
  ExpectNear(found.nats, nats);
  ExpectNear(found.other_nats, other_nats);
  ExpectNear(found.difference, differences);
  ExpectNear(found.divergence, divergences);
  EXPECT_EQ(found.agreements, agreements);
  EXPECT_GT(found.divergence.mean(), 0.1);

  const Evaluation itself = Evaluate(model_engine.get(), model_engine.get(), kWindow, text, kBos);
  EXPECT_EQ(itself.divergence.mean(), 0);
  EXPECT_EQ(itself.difference.mean(), 0);
  EXPECT_EQ(itself.agreement(), 1);
}

TEST(PerplexityAccuracyTest, ThreadsChangeNoBit) {
  const TestModel model(kShape);
  const TempTvl file(model.source());
  const std::vector<TokenId> text = Text(200);
  const Evaluation one = Evaluate(Open(file, 1).get(), nullptr, 90, text, 1);
  for (const size_t threads : {2, 3}) {
    const Evaluation more = Evaluate(Open(file, threads).get(), nullptr, 90, text, 1);
    EXPECT_EQ(more.nats.mean(), one.nats.mean());
    EXPECT_EQ(more.nats.standard_error(), one.nats.standard_error());
  }
}

TEST(PerplexityAccuracyTest, LogitsThatAreNoNumbersAreAnError) {
  TestModel model(kShape);
  ModelSource source = model.source();
  // Infinities of both signs then meet in every logit.
  const std::vector<float> norm(kShape.dim, std::numeric_limits<float>::max());
  source.final_norm = norm.data();
  const TempTvl file(source), good(model.source());
  const auto engine = Open(file, 1), good_engine = Open(good, 1);
  for (EngineType* other : {static_cast<EngineType*>(nullptr), good_engine.get()}) {
    auto evaluator = Evaluator<SelectedKernel>::Create(engine.get(), other, 90, KvType::kF32);
    ASSERT_TRUE(evaluator.ok()) << evaluator.status();
    const auto result = evaluator->Run(Text(3), 1, [](uint64_t, uint64_t) {});
    EXPECT_EQ(result.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_TRUE(absl::StartsWith(result.status().message(),
                                 "test: the logits that predict token 0 of the text are no "
                                 "numbers: all its weights are finite"))
        << result.status();
  }
}

TEST(MeanTest, FewNumbers) {
  Mean mean;
  mean.Add(3);
  EXPECT_EQ(mean.mean(), 3);
  EXPECT_TRUE(std::isnan(mean.standard_error()));
  mean.Add(5);
  EXPECT_EQ(mean.mean(), 4);
  EXPECT_EQ(mean.standard_error(), 1);
}

}  // namespace
}  // namespace tvl
