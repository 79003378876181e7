// What the tests of published checkpoints share: the checkpoint and its tokenizer are arguments of
// the test.
#ifndef TVL_TESTS_GOLDEN_CHECKPOINT_GOLDEN_H_
#define TVL_TESTS_GOLDEN_CHECKPOINT_GOLDEN_H_

#include <cstdio>
#include <span>
#include <string>

#include "core/kernel.h"
#include "core/kv_slot.h"
#include "core/mapped_file.h"
#include "core/tile.h"
#include "gtest/gtest.h"
#include "models/import/llama2c.h"
#include "models/import/llama2c_tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"
#include "models/tvl_writer.h"
#include "tests/golden/fingerprint_text.h"
#include "tests/golden/golden_files.h"

namespace tvl {

inline std::string checkpoint_argument;
inline std::string tokenizer_argument;

// A .tvl file of the checkpoint with weights of this type, in the test's folder; the test fails if
// it cannot be made.
inline std::string ConvertCheckpoint(WeightType type) {
  const std::string path = testing::TempDir() + WeightTypeName(type) + ".tvl";
  const auto file = MappedFile::Open(checkpoint_argument);
  EXPECT_TRUE(file.ok()) << file.status();
  const auto vocabulary = MappedFile::Open(tokenizer_argument);
  EXPECT_TRUE(vocabulary.ok()) << vocabulary.status();
  if (!file.ok() || !vocabulary.ok()) return path;
  const auto model = ImportLlama2c(file->bytes());
  EXPECT_TRUE(model.ok()) << model.status();
  if (!model.ok()) return path;
  const auto tokenizer = ImportLlama2cTokenizer(vocabulary->bytes(), model->config.vocab_size);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  if (!tokenizer.ok()) return path;
  const absl::Status written =
      WriteTvl(*model, SerializeTokenizer(*tokenizer), path, {.types = type});
  EXPECT_TRUE(written.ok()) << written;
  return path;
}

// The fingerprints that fingerprints.txt gives to NAME-TYPE.
template <Kernel K>
void ExpectFingerprints(const std::string& name, std::span<const WeightType> types,
                        std::span<const size_t> threads, std::span<const uint64_t> chunks) {
  for (const WeightType type : types) {
    const std::string model = name + "-" + WeightTypeName(type);
    const std::string path = ConvertCheckpoint(type);
    for (const size_t count : threads) {
      for (const uint64_t chunk : chunks) {
        EXPECT_EQ(FingerprintText<K>(path, count, chunk), GoldenFingerprint(model))
            << model << ", " << count << " threads, chunks of " << chunk;
      }
    }
  }
}

// The test program's main: CHECKPOINT TOKENIZER.
// With a KV cache of each type.
template <Kernel K>
void ExpectKvFingerprints(const std::string& name, WeightType type) {
  const std::string path = ConvertCheckpoint(type);
  for (const KvType kv_type : kKvTypes) {
    const std::string model = name + "-" + WeightTypeName(type) + "-kv-" + KvTypeName(kv_type);
    for (const uint64_t chunk : {64, 5, 1}) {
      for (const size_t threads : {1, 3}) {
        EXPECT_EQ(FingerprintText<K>(path, threads, chunk, kv_type), GoldenFingerprint(model))
            << model << ", " << threads << " threads, chunks of " << chunk;
      }
    }
  }
}

inline int RunCheckpointTests(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s CHECKPOINT TOKENIZER\n", argv[0]);
    return 2;
  }
  checkpoint_argument = argv[1];
  tokenizer_argument = argv[2];
  return RUN_ALL_TESTS();
}

}  // namespace tvl

#endif  // TVL_TESTS_GOLDEN_CHECKPOINT_GOLDEN_H_
