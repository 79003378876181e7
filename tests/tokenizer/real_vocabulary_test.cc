// The tokenizers of published models. Needs the environment variable TVL_SHARED_DATA_DIR: a folder
// that holds tok512.bin (of stories260K, 512 pieces) and tokenizer.bin (Llama 2's, 32,000 pieces),
// as the llama2.c project distributes them.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "models/import/llama2c_tokenizer.h"
#include "models/tokenizer/llama2c_reference.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {
namespace {

constexpr uint32_t kSeed = 20260103;
constexpr std::string_view kProse =
    "Once upon a time, in 1887, there was a girl named Lily. \"I don't like it!\" she said;  "
    "the caf\xC3\xA9 (\xE2\x82\xAC"
    "4.50) was closed.\n\n\tна \xE6\x97\xA5\xE6\x9C\xAC \xF0\x9F\xA6\x99.";

struct Vocabulary {
  const char* file;
  int64_t size;
};

class RealVocabTest : public testing::TestWithParam<Vocabulary> {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("TVL_SHARED_DATA_DIR");
    ASSERT_NE(folder, nullptr) << "TVL_SHARED_DATA_DIR must name the folder with the vocabularies";
    const std::string path = std::string(folder) + "/" + GetParam().file;
    std::ifstream file(path, std::ios::binary);
    ASSERT_TRUE(file) << "cannot open " << path;
    const std::string bytes((std::istreambuf_iterator<char>(file)),
                            std::istreambuf_iterator<char>());
    absl::StatusOr<TokenizerData> data = ImportLlama2cTokenizer(TestBytes(bytes), GetParam().size);
    ASSERT_TRUE(data.ok()) << path << ": " << data.status();
    data_ = *std::move(data);
    section_ = SerializeTokenizer(data_);
    const absl::StatusOr<TokenizerView> view = ParseTokenizer(TestBytes(section_));
    ASSERT_TRUE(view.ok()) << view.status();
    ASSERT_TRUE(VerifyTokenizerChecksum(*view).ok());
    const absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Create(*view);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = std::make_unique<Tokenizer>(*tokenizer);
  }

  std::vector<TokenId> Encode(std::string_view text, EncodeOptions options = {.bos = true}) const {
    std::vector<TokenId> tokens;
    tokenizer_->Encode(text, options, &tokens);
    return tokens;
  }

  std::string Decode(const std::vector<TokenId>& tokens) const {
    std::string text;
    for (size_t i = 1; i < tokens.size(); ++i) text += tokenizer_->Decode(tokens[i - 1], tokens[i]);
    return text;
  }

  TokenizerData data_;
  std::string section_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_P(RealVocabTest, EveryPieceIsFoundAndDecoded) {
  const TokenizerView& view = tokenizer_->view();
  for (size_t i = 0; i < data_.pieces.size(); ++i) {
    const TokenId id = static_cast<TokenId>(i);
    ASSERT_EQ(view.piece(id), data_.pieces[i]);
    ASSERT_EQ(view.score(id), data_.scores[i]);
    ASSERT_EQ(view.FindPiece(data_.pieces[i]), id);
    const std::string expected =
        i >= 3 && i < 259 ? std::string(1, static_cast<char>(i - 3)) : data_.pieces[i];
    ASSERT_EQ(tokenizer_->Decode(-1, id), expected);
  }
}

TEST_P(RealVocabTest, EqualsTheReference) {
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  const Llama2cReference reference(data_);
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    switch (i % 4) {
      case 0:  // a window of prose, cut anywhere, also within a character
        text = kProse.substr(random() % kProse.size(), random() % 60);
        break;
      case 1:  // ASCII
        for (unsigned n = random() % 60; n > 0; --n) text += static_cast<char>(1 + random() % 127);
        break;
      case 2:
        for (unsigned n = random() % 30; n > 0; --n) text += RandomCharacter(random);
        break;
      case 3:  // random pieces
        for (unsigned n = random() % 12; n > 0; --n) {
          text += data_.pieces[random() % data_.pieces.size()];
        }
        break;
    }
    if (i % 5 == 0) text += RandomBytes(random, 20);
    ASSERT_EQ(Encode(text, {.bos = true, .eos = true}), reference.Encode(text, true, true))
        << testing::PrintToString(text);
  }
}

TEST_P(RealVocabTest, DecodesWhatItEncoded) {
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  for (int i = 0; i < 2000; ++i) {
    const std::string text = i % 2 == 0 ? RandomBytes(random, 200)
                                        : std::string(kProse.substr(random() % kProse.size()));
    ASSERT_EQ(Decode(Encode(text)), text);
  }
}

// Bounds are loose, so that emulators and sanitizers pass; the times are printed.
TEST_P(RealVocabTest, OneMegabyteTakesLinearTime) {
  std::string prose, spaces(1 << 20, ' '), bytes;
  std::mt19937 random(kSeed);
  while (prose.size() < (1 << 20)) prose += kProse;
  while (bytes.size() < (1 << 20)) bytes += static_cast<char>(1 + random() % 255);
  for (const std::string* text : {&prose, &spaces, &bytes}) {
    const auto begin = std::chrono::steady_clock::now();
    const std::vector<TokenId> tokens = Encode(*text);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    std::printf("%s: %zu bytes, %zu tokens in %.3f s\n", GetParam().file, text->size(),
                tokens.size(), seconds.count());
    EXPECT_EQ(Decode(tokens), *text);
    EXPECT_LT(seconds.count(), 30.0);
  }
}

INSTANTIATE_TEST_SUITE_P(All, RealVocabTest,
                         testing::Values(Vocabulary{"tok512.bin", 512},
                                         Vocabulary{"tokenizer.bin", 32000}),
                         [](const auto& info) {
                           return info.index == 0 ? "Stories260K" : "Llama2";
                         });

using Llama2VocabTest = RealVocabTest;

// Ids that every implementation of Llama 2's tokenizer gives.
TEST_P(Llama2VocabTest, KnownIds) {
  EXPECT_EQ(Encode("Hello world"), std::vector<TokenId>({1, 15043, 3186}));
  EXPECT_EQ(Encode("Hello, world!"), std::vector<TokenId>({1, 15043, 29892, 3186, 29991}));
  EXPECT_EQ(Encode("\n"), std::vector<TokenId>({1, 29871, 13}));
}

INSTANTIATE_TEST_SUITE_P(Only, Llama2VocabTest, testing::Values(Vocabulary{"tokenizer.bin", 32000}),
                         [](const auto&) { return "Llama2"; });

}  // namespace
}  // namespace tvl
