// A model of another project, llama2.c's stories260K: its expected text in f32, and its
// fingerprints. Built once per backend (see BUILD). Arguments: the checkpoint and its tokenizer.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backend_choice.h"
#include "core/mapped_file.h"
#include "core/tile.h"
#include "gtest/gtest.h"
#include "models/import/llama2c.h"
#include "models/import/llama2c_tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"
#include "models/tvl_writer.h"
#include "samplers/greedy.h"
#include "tests/golden/fingerprint_text.h"
#include "tests/golden/golden_files.h"
#include "tools/generation.h"
#include "tools/model.h"

namespace tvl {
namespace {

// f16 is the embedded model's.
constexpr WeightType kTypes[] = {WeightType::kF32, WeightType::kBF16, WeightType::kQ8,
                                 WeightType::kQ4, WeightType::kQ4M};

const char* g_checkpoint = nullptr;
const char* g_tokenizer = nullptr;

class Stories260kGoldenTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const auto file = MappedFile::Open(g_checkpoint);
    ASSERT_TRUE(file.ok()) << file.status();
    const auto vocabulary = MappedFile::Open(g_tokenizer);
    ASSERT_TRUE(vocabulary.ok()) << vocabulary.status();
    const auto model = ImportLlama2c(file->bytes());
    ASSERT_TRUE(model.ok()) << model.status();
    const auto tokenizer = ImportLlama2cTokenizer(vocabulary->bytes(), model->config.vocab_size);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    for (const WeightType type : kTypes) {
      TvlWriteOptions options;
      options.types = type;
      const absl::Status written =
          WriteTvl(*model, SerializeTokenizer(*tokenizer), Path(type), options);
      ASSERT_TRUE(written.ok()) << written;
    }
  }

  // What fingerprints.txt calls the model with weights of this type.
  static std::string Name(WeightType type) {
    return std::string("stories260K-") + WeightTypeName(type);
  }
  static std::string Path(WeightType type) { return testing::TempDir() + Name(type) + ".tvl"; }
};

TEST_F(Stories260kGoldenTest, Text) {
  auto engine = OpenModel<SelectedKernel>(Path(WeightType::kF32), 2);
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

TEST_F(Stories260kGoldenTest, Fingerprint) {
  for (const WeightType type : kTypes) {
    for (const size_t threads : {1, 2, 3}) {
      for (const uint64_t chunk : {64, 5, 1}) {
        EXPECT_EQ(FingerprintText<SelectedKernel>(Path(type), threads, chunk),
                  GoldenFingerprint(Name(type)))
            << WeightTypeName(type) << ", " << threads << " threads, chunks of " << chunk;
      }
    }
  }
}

}  // namespace
}  // namespace tvl

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s CHECKPOINT TOKENIZER\n", argv[0]);
    return 2;
  }
  tvl::g_checkpoint = argv[1];
  tvl::g_tokenizer = argv[2];
  return RUN_ALL_TESTS();
}
