// Sessions in files: what goes on from one has the bits of what never stopped.
#include "models/session_file.h"

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/kv_slot.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "tests/engine/engine_fixture.h"

namespace tvl {
namespace {

using testing::Fixture;
using testing::Logits;
using testing::NewSession;
using testing::Row;
using testing::StepAll;
using testing::TestEngine;
using testing::TestSession;

// Saved after a thousand tokens, and resumed by another engine with other threads, another context
// and other chunks.
TEST(SessionFileTest, GoesOnWithTheSameBits) {
  constexpr size_t kBefore = 1000, kAfter = 60;
  const Fixture fixture({.context_length = 1100});
  const std::vector<TokenId> tokens = fixture.Tokens(kBefore + kAfter);
  const std::string path = ::testing::TempDir() + "session.tvs";
  for (const KvType type : kKvTypes) {
    const auto engine = fixture.Open(1);
    TestSession whole = NewSession(*engine, {.kv_type = type});
    ASSERT_EQ(whole.Prefill(std::span(tokens).first(kBefore)), absl::OkStatus());
    const std::vector<TokenId> to_run = {tokens[kBefore]};
    ASSERT_EQ(whole.Save(path, to_run, 77), absl::OkStatus());
    const std::vector<Row> expected = StepAll(whole, std::span(tokens).subspan(kBefore));

    const auto other = fixture.Open(3);
    TestSession resumed =
        NewSession(*other, {.context = 1064, .prefill_chunk = 7, .kv_type = type});
    ASSERT_EQ(resumed.Prefill(fixture.Tokens(30, 5)), absl::OkStatus());  // to be replaced
    const auto file = SessionFile::Open(path);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->kv_type(), type);
    EXPECT_EQ(file->info().steps, 77u);
    ASSERT_EQ(file->info().tokens.size(), kBefore + 1);
    EXPECT_EQ(file->info().tokens.back(), tokens[kBefore]);
    ASSERT_EQ(resumed.Resume(*file), absl::OkStatus());
    EXPECT_EQ(resumed.position(), kBefore);
    EXPECT_TRUE(std::ranges::equal(resumed.tokens(), std::span(tokens).first(kBefore)));
    EXPECT_EQ(StepAll(resumed, std::span(tokens).subspan(kBefore)), expected) << KvTypeName(type);
  }
}

// Refused, the session is as it was.
TEST(SessionFileTest, RefusesWhatDoesNotFit) {
  const Fixture fixture({}), another({.n_layers = 1});
  const auto engine = fixture.Open(1), other = another.Open(1);
  const std::string path = ::testing::TempDir() + "refused.tvs";
  TestSession session = NewSession(*engine);
  ASSERT_EQ(session.Prefill(fixture.Tokens(20)), absl::OkStatus());
  ASSERT_EQ(session.Save(path, {}, 0), absl::OkStatus());
  const auto file = SessionFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto expect_refused = [&](TestEngine& by, const SessionOptions& options, const char* why) {
    TestSession unchanged = NewSession(by, options);
    ASSERT_EQ(unchanged.Prefill(fixture.Tokens(5)), absl::OkStatus());
    const Row before = Logits(unchanged);
    const absl::Status status = unchanged.Resume(*file);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_NE(status.message().find(path), absl::string_view::npos) << status;
    EXPECT_NE(status.message().find(why), absl::string_view::npos) << status;
    EXPECT_EQ(unchanged.position(), 5u);
    EXPECT_EQ(Logits(unchanged), before);
  };
  expect_refused(*other, {}, "another");
  expect_refused(*engine, {.kv_type = KvType::kQ8}, "--kv-dtype f16");
  expect_refused(*engine, {.context = 19}, "--context");
}

// Every truncation and a change of every byte, whatever it is of.
TEST(SessionFileTest, RefusesEveryDamage) {
  const Fixture fixture({.dim = 12, .n_layers = 1, .n_heads = 2, .n_kv_heads = 1});
  const auto engine = fixture.Open(1);
  TestSession session = NewSession(*engine, {.kv_type = KvType::kQ8});
  ASSERT_EQ(session.Prefill(fixture.Tokens(3)), absl::OkStatus());
  const std::string path = ::testing::TempDir() + "damaged.tvs";
  ASSERT_EQ(session.Save(path, fixture.Tokens(2), 1), absl::OkStatus());
  std::ifstream in(path, std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(in)), {});
  const auto expect_refused = [&](const std::string& bytes, size_t at) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    const auto file = SessionFile::Open(path);
    ASSERT_FALSE(file.ok()) << at;
    ASSERT_NE(file.status().message().find(path), absl::string_view::npos) << file.status();
  };
  for (size_t size = 0; size < good.size(); size += size < 200 ? 1 : 37)
    ASSERT_NO_FATAL_FAILURE(expect_refused(good.substr(0, size), size));
  ASSERT_NO_FATAL_FAILURE(expect_refused(good + "x", good.size()));
  for (size_t at = 0; at < good.size(); at += at < 200 ? 1 : 37) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x40);
    ASSERT_NO_FATAL_FAILURE(expect_refused(bad, at));
  }
}

}  // namespace
}  // namespace tvl
