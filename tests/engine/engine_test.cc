// The engine's promises about sequences: however tokens are grouped, shared out between threads,
// rewound or mixed with those of other sessions, each position's logits have the same bits.
#include "models/engine.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "backends/selected.h"
#include "core/architecture.h"
#include "core/kv_slot.h"
#include "core/tile.h"
#include "core/token.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/recipe.h"
#include "samplers/greedy.h"
#include "samplers/standard_chain.h"
#include "tests/engine/engine_fixture.h"
#include "tests/engine/engine_shapes.h"
#include "tests/support/test_model.h"

namespace tvl {
namespace {

using testing::Fixture;
using ::testing::HasSubstr;
using testing::kShapes;
using testing::kTokens;
using testing::Logits;
using testing::Name;
using testing::NewSession;
using testing::PrefillRows;
using testing::Row;
using testing::StepAll;
using testing::TempTvl;
using testing::TestEngine;
using testing::TestModel;
using testing::TestSession;
using testing::TestShape;

void ExpectFinite(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    for (const float logit : row) ASSERT_TRUE(std::isfinite(logit));
  }
}

// However the weights come into memory: the same bits.
TEST(EngineTest, MemoryChangesNoBit) {
  for (const TestShape& shape : kShapes) {
    const TempTvl file(TestModel(shape).source(), WeightType::kF16);
    std::vector<Row> expected;
    for (const MemoryOptions& memory :
         {MemoryOptions{}, MemoryOptions{.read_ahead = false}, MemoryOptions{.populate = true},
          MemoryOptions{.huge_pages = true}, MemoryOptions{.lock = true, .huge_pages = true}}) {
      auto engine = TestEngine::Open(file.path(), {.threads = 2, .memory = memory});
      ASSERT_TRUE(engine.ok()) << engine.status();
      EXPECT_EQ((*engine)->memory().copied_bytes(),
                memory.huge_pages ? (*engine)->reader().bytes().size() : 0);
      TestSession session = NewSession(**engine);
      const std::vector<Row> rows = StepAll(session, std::vector<TokenId>{1, 2, 0, 1});
      if (expected.empty()) expected = rows;
      EXPECT_EQ(rows, expected) << Name(shape);
    }
  }
}

// What the first pass reads, in its order: all tensors but an untied embedding, as few ranges.
TEST(EngineTest, ReadOrderIsThatOfThePass) {
  for (const bool tied : {true, false}) {
    const TempTvl file(TestModel({.tied = tied}).source(), WeightType::kQ4);
    auto engine = TestEngine::Open(file.path(), {.threads = 1});
    ASSERT_TRUE(engine.ok()) << engine.status();
    const TvlReader& reader = (*engine)->reader();
    const auto ranges = ReadOrder(reader);
    EXPECT_EQ(ranges.size(), tied ? 1u : 2u);
    size_t bytes = 0;
    for (size_t i = 0; i < ranges.size(); ++i) {
      bytes += ranges[i].size();
      if (i > 0) {
        EXPECT_LT(ranges[i - 1].data(), ranges[i].data());
      }
    }
    EXPECT_GE(bytes, reader.BytesPerToken());
    EXPECT_LT(bytes, reader.BytesPerToken() + 64 * reader.tensors().size());
  }
}

// Of other architectures one float and one quantised: what sets those apart does not know the type.
// K-quants where superblocks fill the rows, and there alone.
std::vector<WeightType> TypesOf(const TestShape& shape) {
  if (shape.architecture != Architecture::kLlama) return {WeightType::kF32, WeightType::kQ8};
  const bool k_quants = shape.dim % kKSuperblock == 0 && shape.hidden_dim % kKSuperblock == 0;
  std::vector<WeightType> types;
  for (const WeightType type : kWeightTypes) {
    if (IsKQuant(type) == k_quants) types.push_back(type);
  }
  return types;
}

TEST(EngineTest, ChunksChangeNoBit) {
  for (const TestShape& shape : kShapes) {
    for (const WeightType type : TypesOf(shape)) {
      SCOPED_TRACE(Name(shape));
      const Fixture fixture(shape, type);
      const auto engine = fixture.Open(type == WeightType::kF32 ? 1 : 2);
      const std::vector<TokenId> tokens = fixture.Tokens(kTokens);
      TestSession reference = NewSession(*engine);
      const std::vector<Row> expected = StepAll(reference, tokens);
      ExpectFinite(expected);
      for (const size_t chunk : {1, 2, 5, 7, 64, 1000}) {
        SCOPED_TRACE(absl::StrCat("chunks of ", chunk));
        TestSession all = NewSession(*engine, {.prefill_chunk = chunk, .all_logits = true});
        EXPECT_EQ(PrefillRows(all, tokens), expected);
        EXPECT_EQ(Logits(all), expected.back());
        // Without logits on the way, and then on by single tokens.
        TestSession last = NewSession(*engine, {.prefill_chunk = chunk});
        ASSERT_EQ(last.Prefill(std::span(tokens).first(70)), absl::OkStatus());
        EXPECT_EQ(Logits(last), expected[69]);
        const std::vector<Row> rest = StepAll(last, std::span(tokens).subspan(70));
        for (size_t i = 0; i < rest.size(); ++i) EXPECT_EQ(rest[i], expected[70 + i]);
      }
    }
  }
}

// Steps through 20 of the tokens and takes all of them in chunks, with several numbers of threads.
// Returns the logits.
std::vector<Row> ExpectThreadsChangeNoBit(const Fixture& fixture, std::span<const TokenId> tokens) {
  std::vector<Row> expected;
  for (const size_t threads : {1, 2, 3, 8}) {
    SCOPED_TRACE(absl::StrCat(threads, " threads"));
    const auto engine = fixture.Open(threads);
    EXPECT_EQ(engine->threads(), threads);
    TestSession stepping = NewSession(*engine);
    const std::vector<Row> stepped = StepAll(stepping, tokens.first(20));
    TestSession session = NewSession(*engine, {.prefill_chunk = 19, .all_logits = true});
    const std::vector<Row> rows = PrefillRows(session, tokens);
    if (expected.empty()) expected = rows;
    EXPECT_EQ(rows, expected);
    TestSession last = NewSession(*engine, {.prefill_chunk = 19});
    EXPECT_EQ(last.Prefill(tokens), absl::OkStatus());
    EXPECT_EQ(Logits(last), expected.back());
    for (size_t i = 0; i < stepped.size(); ++i) EXPECT_EQ(stepped[i], expected[i]);
  }
  return expected;
}

// A window hides what is before it, and only that.
TEST(EngineTest, WindowsHide) {
  const TestShape shape = {.context_length = 80};
  const Fixture plain(shape);
  const std::vector<TokenId> tokens = plain.Tokens(kTokens);
  const auto engine = plain.Open(2);
  TestSession session = NewSession(*engine);
  const std::vector<Row> all = StepAll(session, tokens);
  for (const uint32_t window : {1u, 16u, 40u, 77u, 1000u}) {
    TestShape windowed = shape;
    windowed.architecture = Architecture::kMistral;
    windowed.sliding_window = window;
    const Fixture fixture(windowed);
    const auto its_engine = fixture.Open(2);
    TestSession its_session = NewSession(*its_engine);
    const std::vector<Row> rows = StepAll(its_session, tokens);
    for (size_t t = 0; t < kTokens; ++t) EXPECT_EQ(rows[t] == all[t], t < window) << window;
  }
}

TEST(EngineTest, ThreadsChangeNoBit) {
  for (const TestShape& shape : kShapes) {
    for (const WeightType type : TypesOf(shape)) {
      SCOPED_TRACE(absl::StrCat(Name(shape), ", ", WeightTypeName(type)));
      const Fixture fixture(shape, type);
      ExpectThreadsChangeNoBit(fixture, fixture.Tokens(kTokens));
    }
  }
}

// The distance of all logits from others, relative to those.
double Distance(const std::vector<Row>& rows, const std::vector<Row>& others) {
  double squares = 0, total = 0;
  for (size_t t = 0; t < rows.size(); ++t) {
    for (size_t i = 0; i < rows[t].size(); ++i) {
      squares += std::pow(rows[t][i] - others[t][i], 2);
      total += std::pow(others[t][i], 2);
    }
  }
  return std::sqrt(squares / total);
}

// Every role quantised among floats and the reverse: a matrix gets the inputs of its own type,
// whatever its neighbours take. Wrong inputs might be equally wrong in every chunk and thread, so
// the logits must also be near those of f32: q8 moves them by 1% where it is one role's, by 3%
// where it is nearly all's.
TEST(EngineTest, WeightTypesMix) {
  const TestShape& shape = kShapes[2];
  const Fixture plain(shape);
  const std::vector<TokenId> tokens = plain.Tokens(40);
  const std::vector<Row> f32 = ExpectThreadsChangeNoBit(plain, tokens);
  const auto expect_near = [&](const Recipe& types, double bound) {
    SCOPED_TRACE(RecipeText(types, shape.tied));
    const Fixture fixture(shape, types);
    EXPECT_LT(Distance(ExpectThreadsChangeNoBit(fixture, tokens), f32), bound);
  };
  for (size_t role = 0; role < kTensorRoles; ++role) {
    Recipe one = WeightType::kF32, others = WeightType::kQ8;
    one[static_cast<TensorRole>(role)] = WeightType::kQ8;
    others[static_cast<TensorRole>(role)] = WeightType::kF32;
    expect_near(one, 0.02);
    expect_near(others, 0.05);
  }
  Recipe all_kinds = WeightType::kF32;
  all_kinds[TensorRole::kEmbedding] = WeightType::kQ4M;
  all_kinds[TensorRole::kWq] = WeightType::kQ8;
  all_kinds[TensorRole::kWv] = WeightType::kQ4;
  all_kinds[TensorRole::kWo] = WeightType::kF16;
  all_kinds[TensorRole::kW13] = WeightType::kQ4;
  all_kinds[TensorRole::kClassifier] = WeightType::kBF16;
  expect_near(all_kinds, 0.4);
}

TEST(EngineTest, RewindEqualsAFreshStart) {
  for (const TestShape& shape : kShapes) {
    SCOPED_TRACE(Name(shape));
    const Fixture fixture(shape);
    const auto engine = fixture.Open(shape.tied ? 2 : 1);
    const std::vector<TokenId> first = fixture.Tokens(kTokens, 1),
                               second = fixture.Tokens(kTokens, 2);
    for (const size_t keep : {0, 1, 2, 3, 4, 15, 16, 17, 30, 77}) {
      SCOPED_TRACE(absl::StrCat("back to ", keep));
      std::vector<TokenId> both(first.begin(), first.begin() + static_cast<ptrdiff_t>(keep));
      both.insert(both.end(), second.begin(), second.end() - static_cast<ptrdiff_t>(keep));
      TestSession fresh = NewSession(*engine);
      ASSERT_EQ(fresh.Prefill(both), absl::OkStatus());
      for (const size_t chunk : {6, 64}) {
        TestSession session = NewSession(*engine, {.prefill_chunk = chunk});
        ASSERT_EQ(session.Prefill(first), absl::OkStatus());
        session.Rewind(keep);
        EXPECT_EQ(session.position(), keep);
        if (keep == kTokens) {
          session.Rewind(keep - 1);
          ASSERT_EQ(session.Step(first[keep - 1]), absl::OkStatus());
        } else {
          ASSERT_EQ(session.Prefill(std::span(both).subspan(keep)), absl::OkStatus());
        }
        EXPECT_EQ(Logits(session), Logits(fresh));
      }
    }
  }
}

TEST(EngineTest, TheContextsEndIsAnErrorThatLeavesTheSessionUsable) {
  const Fixture fixture({.context_length = 37});
  const auto engine = fixture.Open(1);
  const std::vector<TokenId> tokens = fixture.Tokens(38);
  for (const size_t asked : {0, 1, 16, 20, 37, 1000}) {
    TestSession session = NewSession(*engine, {.context = asked});
    const size_t context = asked == 0 || asked > 37 ? 37 : asked;
    ASSERT_EQ(session.context(), context);
    TestSession fresh = NewSession(*engine);
    const std::vector<Row> expected = StepAll(fresh, std::span(tokens).first(context));

    const absl::Status too_long = session.Prefill(std::span(tokens).first(context + 1));
    EXPECT_EQ(too_long.code(), absl::StatusCode::kOutOfRange);
    EXPECT_THAT(std::string(too_long.message()),
                HasSubstr(absl::StrCat("context of ", context, " positions")));
    EXPECT_EQ(session.position(), 0u);

    ASSERT_EQ(session.Prefill(std::span(tokens).first(context)), absl::OkStatus());
    EXPECT_EQ(session.position(), context);
    EXPECT_EQ(session.Step(1).code(), absl::StatusCode::kOutOfRange);
    EXPECT_EQ(session.Prefill({}), absl::OkStatus());
    EXPECT_EQ(session.position(), context);
    EXPECT_EQ(Logits(session), expected.back());

    session.Rewind(context - 1);
    ASSERT_EQ(session.Step(tokens[context - 1]), absl::OkStatus());
    EXPECT_EQ(Logits(session), expected.back());
  }
}

TEST(EngineTest, IdsOutsideTheVocabularyAreRefused) {
  const Fixture fixture(TestShape{});
  const auto engine = fixture.Open(2);
  TestSession session = NewSession(*engine, {.all_logits = true});
  const std::vector<TokenId> tokens = fixture.Tokens(9);
  ASSERT_EQ(session.Prefill(tokens), absl::OkStatus());
  const Row before = Logits(session);
  for (const TokenId bad : {-1, 67, 1 << 30, std::numeric_limits<TokenId>::min(),
                            std::numeric_limits<TokenId>::max()}) {
    const std::vector<TokenId> prompt = {1, 2, bad};
    for (const absl::Status& status :
         {session.Step(bad), session.Prefill(prompt),
          session.PrefillAll(prompt, [](std::span<float>) { FAIL(); })}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(std::string(status.message()),
                  HasSubstr(absl::StrCat("expected 0 to 66, found ", bad)));
    }
  }
  EXPECT_EQ(session.position(), 9u);
  EXPECT_EQ(Logits(session), before);
  EXPECT_EQ(session.Step(66), absl::OkStatus());
}

TEST(EngineTest, AllLogitsNeedRoom) {
  const Fixture fixture(TestShape{});
  const auto engine = fixture.Open(1);
  TestSession session = NewSession(*engine);
  const std::vector<TokenId> tokens = fixture.Tokens(3);
  EXPECT_EQ(session.PrefillAll(tokens, [](std::span<float>) { FAIL(); }).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(session.position(), 0u);
}

TEST(EngineTest, InterleavedSessionsDoNotMix) {
  const Fixture fixture({.context_length = 64, .tied = false});
  const auto engine = fixture.Open(2);
  const std::vector<TokenId> a_tokens = fixture.Tokens(40, 1), b_tokens = fixture.Tokens(40, 2);
  TestSession a_alone = NewSession(*engine), b_alone = NewSession(*engine);
  const std::vector<Row> a_expected = StepAll(a_alone, a_tokens),
                         b_expected = StepAll(b_alone, b_tokens);
  TestSession a = NewSession(*engine), b = NewSession(*engine, {.context = 41});
  for (size_t i = 0; i < 40; ++i) {
    ASSERT_EQ(a.Step(a_tokens[i]), absl::OkStatus());
    ASSERT_EQ(b.Step(b_tokens[i]), absl::OkStatus());
    ASSERT_EQ(Logits(a), a_expected[i]);
    ASSERT_EQ(Logits(b), b_expected[i]);
  }
  EXPECT_NE(a_expected, b_expected);
}

TEST(EngineTest, SessionsOnSeveralThreadsShareOneEngine) {
  const Fixture fixture({.context_length = 64});
  const auto engine = fixture.Open(3);
  std::vector<std::vector<Row>> expected(4), found(4);
  for (size_t s = 0; s < 4; ++s) {
    TestSession session = NewSession(*engine);
    expected[s] = StepAll(session, fixture.Tokens(50, s));
  }
  std::vector<std::thread> users;
  for (size_t s = 0; s < 4; ++s) {
    users.emplace_back([&, s] {
      TestSession session = NewSession(*engine, {.prefill_chunk = 3 + s, .all_logits = true});
      const std::vector<TokenId> tokens = fixture.Tokens(50, s);
      found[s] = PrefillRows(session, std::span(tokens).first(20));
      for (Row& row : StepAll(session, std::span(tokens).subspan(20)))
        found[s].push_back(std::move(row));
    });
  }
  for (std::thread& user : users) user.join();
  for (size_t s = 0; s < 4; ++s) EXPECT_EQ(found[s], expected[s]) << s;
}

// 200 of them, each opened, used for a few tokens and closed while others are: as if it were alone.
TEST(EngineTest, SessionsComeAndGoOnSeveralThreads) {
  constexpr size_t kSessions = 200, kUsers = 4;
  const Fixture fixture({.context_length = 64});
  for (const size_t threads : {1, 3}) {
    const auto engine = fixture.Open(threads);
    const auto generate = [&](size_t s) {
      TestSession session =
          NewSession(*engine, {.context = 20 + s % 9, .prefill_chunk = 1 + s % 5});
      StandardChain sampler =
          MakeStandardChain({.top_k = 20, .top_p = 0.9f, .temperature = 0.8f, .seed = s});
      EXPECT_EQ(session.Prefill(fixture.Tokens(3 + s % 7, s)), absl::OkStatus());
      std::vector<TokenId> generated;
      for (uint64_t step = 0; step < 6; ++step) {
        generated.push_back(sampler.Sample(session.logits(), {.tokens = {}, .step = step}));
        EXPECT_EQ(session.Step(generated.back()), absl::OkStatus());
      }
      return generated;
    };
    std::vector<std::vector<TokenId>> expected(kSessions), found(kSessions);
    for (size_t s = 0; s < kSessions; ++s) expected[s] = generate(s);
    std::vector<std::thread> users;
    for (size_t u = 0; u < kUsers; ++u) {
      users.emplace_back([&, u] {
        for (size_t s = u; s < kSessions; s += kUsers) found[s] = generate(s);
      });
    }
    for (std::thread& user : users) user.join();
    EXPECT_EQ(found, expected) << threads << " threads";
  }
}

// A prompt can be stopped between its chunks and gone on with; the bits are the same.
TEST(EngineTest, PrefillStopsBetweenChunks) {
  const Fixture fixture(TestShape{});
  const auto engine = fixture.Open(2);
  const std::vector<TokenId> tokens = fixture.Tokens(20);
  TestSession whole = NewSession(*engine);
  ASSERT_EQ(whole.Prefill(tokens), absl::OkStatus());

  TestSession session = NewSession(*engine, {.prefill_chunk = 6});
  size_t calls = 0;
  const auto stop_at_second = [&] {
    return ++calls == 2 ? absl::CancelledError("stop") : absl::OkStatus();
  };
  EXPECT_EQ(session.Prefill(tokens, stop_at_second), absl::CancelledError("stop"));
  EXPECT_EQ(session.position(), 12u);
  EXPECT_EQ(session.Prefill(std::span(tokens).subspan(12), stop_at_second), absl::OkStatus());
  EXPECT_EQ(calls, 3u);  // between its two chunks, not after the last
  EXPECT_EQ(Logits(session), Logits(whole));
}

TEST(EngineTest, SessionsMoveAndSamplersMayOverwriteTheirLogits) {
  const Fixture fixture(TestShape{});
  const auto engine = fixture.Open(2);
  TestSession plain = NewSession(*engine);
  const std::vector<Row> expected = StepAll(plain, fixture.Tokens(10));
  TestSession session = NewSession(*engine);
  for (size_t i = 0; i < 10; ++i) {
    TestSession moved = std::move(session);
    ASSERT_EQ(moved.Step(fixture.Tokens(10)[i]), absl::OkStatus());
    ASSERT_EQ(Logits(moved), expected[i]);
    for (float& logit : moved.logits()) logit = std::numeric_limits<float>::quiet_NaN();
    session = std::move(moved);
  }
}

TEST(EngineTest, GreedyContinuationIsTheSameForEveryWayOfRunning) {
  const Fixture fixture({.context_length = 60});
  std::vector<TokenId> expected;
  for (const size_t threads : {1, 3}) {
    for (const size_t chunk : {1, 4, 64}) {
      const auto engine = fixture.Open(threads);
      TestSession session = NewSession(*engine, {.prefill_chunk = chunk});
      ASSERT_EQ(session.Prefill(fixture.Tokens(11)), absl::OkStatus());
      std::vector<TokenId> generated;
      while (session.position() < session.context()) {
        generated.push_back(Greedy().Sample(session.logits(), {}));
        ASSERT_EQ(session.Step(generated.back()), absl::OkStatus());
      }
      if (expected.empty()) expected = generated;
      EXPECT_EQ(generated, expected);
    }
  }
  EXPECT_EQ(expected.size(), 49u);
}

TEST(EngineTest, OpeningErrorsNameTheFile) {
  const auto missing = TestEngine::Open("/no/such/model.tvl", {});
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("/no/such/model.tvl"));
  const std::vector<std::byte> junk(1000, std::byte{7});
  const auto bad = TestEngine::FromBytes(junk, "junk.tvl", {});
  EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(bad.status().message()), HasSubstr("junk.tvl: magic"));
}

}  // namespace
}  // namespace tvl
