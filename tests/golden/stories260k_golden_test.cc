// A model of another project, llama2.c's stories260K: its expected text in f32, and its
// fingerprints. Built once per backend (see BUILD). Arguments: the checkpoint and its tokenizer.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "backend_choice.h"
#include "core/tile.h"
#include "gtest/gtest.h"
#include "samplers/greedy.h"
#include "tests/golden/checkpoint_golden.h"
#include "tests/golden/golden_files.h"
#include "tools/generation.h"
#include "tools/model.h"

namespace tvl {
namespace {

TEST(Stories260kGoldenTest, Text) {
  auto engine = OpenModel<SelectedKernel>(ConvertCheckpoint(WeightType::kF32), {.threads = 2});
  ASSERT_TRUE(engine.ok()) << engine.status();
  const auto tokenizer = OpenTokenizer((*engine)->reader());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  auto session = (*engine)->NewSession({});
  ASSERT_TRUE(session.ok()) << session.status();
  std::string text;
  const auto append = [&](std::string_view piece) {
    text += piece;
    return absl::OkStatus();
  };
  Greedy greedy;
  GenerationStats stats;
  const auto stop =
      Generate(*session, *tokenizer, EncodePrompt(*tokenizer, ""), 200, greedy, append, &stats);
  ASSERT_TRUE(stop.ok()) << stop.status();
  EXPECT_EQ(text + "\n", GoldenText("stories260K.txt"));
}

TEST(Stories260kGoldenTest, Fingerprint) {
  constexpr WeightType kTypes[] = {WeightType::kF32, WeightType::kBF16, WeightType::kQ8,
                                   WeightType::kQ4, WeightType::kQ4M};
  constexpr size_t kThreads[] = {1, 2, 3};
  constexpr uint64_t kChunks[] = {64, 5, 1};
  ExpectFingerprints<SelectedKernel>("stories260K", kTypes, kThreads, kChunks);
}

TEST(Stories260kGoldenTest, FingerprintOfEveryKvCache) {
  ExpectKvFingerprints<SelectedKernel>("stories260K", WeightType::kF32);
}

}  // namespace
}  // namespace tvl

int main(int argc, char** argv) { return tvl::RunCheckpointTests(argc, argv); }
