// What the tests of the engine share.
#ifndef TVL_TESTS_ENGINE_ENGINE_FIXTURE_H_
#define TVL_TESTS_ENGINE_ENGINE_FIXTURE_H_

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/selected.h"
#include "core/tile.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "models/recipe.h"
#include "tests/support/test_model.h"

namespace tvl::testing {

using TestEngine = Engine<SelectedKernel>;
using TestSession = TestEngine::SessionType;
using Row = std::vector<float>;

// One model on disk and engines over it.
class Fixture {
 public:
  explicit Fixture(const TestShape& shape, const Recipe& types = WeightType::kF32)
      : file_(TestModel(shape).source(), types), vocab_(shape.vocab_size) {}

  std::unique_ptr<TestEngine> Open(size_t threads) const {
    auto engine = TestEngine::Open(file_.path(), {.threads = threads});
    EXPECT_TRUE(engine.ok()) << engine.status();
    return *std::move(engine);
  }
  // A prompt that visits the vocabulary without a pattern.
  std::vector<TokenId> Tokens(size_t n, size_t salt = 0) const {
    std::vector<TokenId> tokens(n);
    for (size_t i = 0; i < n; ++i)
      tokens[i] = static_cast<TokenId>((i * i * 5 + i * 11 + salt * 17 + 1) % vocab_);
    return tokens;
  }

 private:
  TempTvl file_;
  size_t vocab_;
};

inline TestSession NewSession(TestEngine& engine, const SessionOptions& options = {}) {
  absl::StatusOr<TestSession> session = engine.NewSession(options);
  EXPECT_TRUE(session.ok()) << session.status();
  return *std::move(session);
}

inline Row Logits(TestSession& session) {
  return {session.logits().begin(), session.logits().end()};
}

// The logits of every position, token by token: what everything else is compared with.
inline std::vector<Row> StepAll(TestSession& session, std::span<const TokenId> tokens) {
  std::vector<Row> rows;
  for (const TokenId token : tokens) {
    EXPECT_EQ(session.Step(token), absl::OkStatus());
    rows.push_back(Logits(session));
  }
  return rows;
}

inline std::vector<Row> PrefillRows(TestSession& session, std::span<const TokenId> tokens) {
  std::vector<Row> rows;
  const absl::Status status = session.PrefillAll(
      tokens, [&](std::span<float> logits) { rows.emplace_back(logits.begin(), logits.end()); });
  EXPECT_EQ(status, absl::OkStatus());
  return rows;
}

}  // namespace tvl::testing

#endif  // TVL_TESTS_ENGINE_ENGINE_FIXTURE_H_
