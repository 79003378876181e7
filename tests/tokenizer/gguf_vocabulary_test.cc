// Llama 2's and GPT-2's vocabularies as GGUF has them, with texts and the tokens that llama.cpp
// makes of them. Needs the environment variable TVL_SHARED_DATA_DIR: a folder that holds
// ggml-vocab-llama-spm.gguf and ggml-vocab-gpt-2.gguf, of each also .inp (texts with lines of
// __ggml_vocab_test__ between them) and .out (their tokens, a line each).

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/mapped_file.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "models/import/gguf_file.h"
#include "models/import/gguf_tokenizer.h"
#include "models/tokenizer/llama2c_reference.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {
namespace {

constexpr uint32_t kSeed = 20260103;

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << "cannot open " << path;
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

struct Vocabulary {
  const char* name;
  uint32_t size;
};
constexpr Vocabulary kLlama2 = {"llama-spm", 32000};
constexpr Vocabulary kGpt2 = {"gpt-2", 50257};

class GgufVocabularyTest : public testing::TestWithParam<Vocabulary> {
 protected:
  void SetUp() override {
    const absl::StatusOr<MappedFile> file = MappedFile::Open(Path(".gguf"));
    ASSERT_TRUE(file.ok()) << file.status();
    const absl::StatusOr<GgufFile> gguf = ParseGguf(file->bytes());
    ASSERT_TRUE(gguf.ok()) << gguf.status();
    EXPECT_TRUE(gguf->tensors.empty());
    absl::StatusOr<TokenizerData> data =
        ImportGgufTokenizer(gguf->metadata, GetParam().size, nullptr);
    ASSERT_TRUE(data.ok()) << data.status();
    section_ = SerializeTokenizer(*data);
    const absl::StatusOr<TokenizerView> view =
        ParseTokenizer(std::as_bytes(std::span(section_.data(), section_.size())));
    ASSERT_TRUE(view.ok()) << view.status();
    const absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Create(*view);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = std::make_unique<Tokenizer>(*tokenizer);
  }

  static std::string Path(const std::string& ending) {
    const char* folder = std::getenv("TVL_SHARED_DATA_DIR");
    return absl::StrCat(folder == nullptr ? "" : folder, "/ggml-vocab-", GetParam().name, ending);
  }

  std::vector<TokenId> Encode(std::string_view text, EncodeOptions options = {}) const {
    std::vector<TokenId> tokens;
    tokenizer_->Encode(text, options, &tokens);
    return tokens;
  }
  std::string Decode(TokenId previous, const std::vector<TokenId>& tokens) const {
    std::string text;
    for (const TokenId token : tokens) {
      text += tokenizer_->Decode(previous, token);
      previous = token;
    }
    return text;
  }

  std::string section_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_P(GgufVocabularyTest, EqualsLlamaCpp) {
  const std::vector<std::string> texts =
      absl::StrSplit(Read(Path(".gguf.inp")), "\n__ggml_vocab_test__\n");
  std::istringstream lines(Read(Path(".gguf.out")));
  size_t count = 0;
  for (const std::string& text : texts) {
    std::string line;
    if (!std::getline(lines, line)) break;
    std::istringstream numbers(line);
    std::vector<TokenId> expected;
    for (TokenId token; numbers >> token;) expected.push_back(token);
    EXPECT_EQ(Encode(text), expected) << testing::PrintToString(text);
    EXPECT_EQ(Decode(tokenizer_->bos_id(), expected), text);
    ++count;
  }
  std::printf("%zu texts\n", count);
  EXPECT_GE(count, 40u);
  // What is left is what follows the last line of the separator.
  EXPECT_LE(texts.size(), count + 1);
}

TEST_P(GgufVocabularyTest, DecodesWhatItEncoded) {
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  const std::vector<std::string> alphabet = {" ",   "  ", "\n",   "\r\n", "'s",
                                             "'LL", "7",  "word", "!"};
  for (int i = 0; i < 1500; ++i) {
    std::string text;
    for (unsigned n = random() % 40; n > 0; --n) {
      text += i % 3 == 0   ? std::string(1, static_cast<char>(random() % 256))
              : i % 3 == 1 ? RandomCharacter(random)
                           : RandomText(random, alphabet, 3) + RandomCharacter(random);
    }
    EXPECT_EQ(Decode(tokenizer_->bos_id(), Encode(text)), text);
  }
}

// Long texts take another way where words can be told apart: the same tokens, stretch by stretch.
TEST_P(GgufVocabularyTest, LongTextsAreLikeTheirParts) {
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  std::string all;
  std::vector<TokenId> expected;
  while (all.size() < 40000) {
    // Whatever a broken character takes with it, "xxxx" ends well; neither has a piece "x ".
    const std::string text = " Once " + RandomBytes(random, 30) +
                             RandomText(random, {" ", "the ", "\xE2", "\xF0 ", ", and"}, 20) +
                             "xxxx";
    all += text;
    for (const TokenId token : Encode(text, {.continues = true})) expected.push_back(token);
  }
  EXPECT_EQ(Encode(all, {.continues = true}), expected);
}

// Bounds are loose, so that emulators and sanitizers pass; the times are printed.
TEST_P(GgufVocabularyTest, LongTextsTakeLinearTime) {
  constexpr size_t kBytes = 1 << 18;
  for (const std::string unit : {"a", " ", "\n", "!", "Once upon a time, 'twas 1887. "}) {
    std::string text;
    while (text.size() < kBytes) text += unit;
    const auto begin = std::chrono::steady_clock::now();
    const std::vector<TokenId> tokens = Encode(text);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    std::printf("%s...: %zu tokens in %.3f s\n", testing::PrintToString(unit).c_str(),
                tokens.size(), seconds.count());
    EXPECT_LT(seconds.count(), 10.0);
    EXPECT_EQ(Decode(tokenizer_->bos_id(), tokens), text);
  }
}

INSTANTIATE_TEST_SUITE_P(All, GgufVocabularyTest, testing::Values(kLlama2, kGpt2),
                         [](const auto& info) { return info.index == 0 ? "Llama2" : "Gpt2"; });

using Llama2GgufTest = GgufVocabularyTest;

TEST_P(Llama2GgufTest, KnowsItsTokens) {
  EXPECT_EQ(tokenizer_->bos_id(), 1);
  EXPECT_EQ(tokenizer_->eos_id(), 2);
  EXPECT_TRUE(tokenizer_->IsEnd(2));
  EXPECT_FALSE(tokenizer_->IsEnd(1));
  EXPECT_TRUE(tokenizer_->default_options().bos);
  EXPECT_FALSE(tokenizer_->default_options().eos);
  EXPECT_EQ(Encode("", {.bos = true, .eos = true}), std::vector<TokenId>({1, 2}));
  EXPECT_EQ(tokenizer_->Decode(5, 2), "");
  EXPECT_EQ(tokenizer_->Decode(5, 3 + 10), "\n");
  EXPECT_EQ(tokenizer_->Decode(5, 15043), " Hello");
  EXPECT_EQ(tokenizer_->Decode(1, 15043), "Hello");
}

TEST_P(Llama2GgufTest, TextIsAControlTokenWhereAskedForOnly) {
  for (const TokenId token : Encode("<s> </s> <unk> </s></s>")) EXPECT_GT(token, 2);
  EXPECT_EQ(Encode("<s>Hello</s>", {.parse_special = true}), std::vector<TokenId>({1, 15043, 2}));
}

INSTANTIATE_TEST_SUITE_P(Only, Llama2GgufTest, testing::Values(kLlama2),
                         [](const auto&) { return "Llama2"; });

using Gpt2GgufTest = GgufVocabularyTest;

TEST_P(Gpt2GgufTest, KnowsItsTokens) {
  constexpr TokenId kEndOfText = 50256;
  EXPECT_EQ(tokenizer_->bos_id(), kEndOfText);
  EXPECT_EQ(tokenizer_->eos_id(), kEndOfText);
  EXPECT_TRUE(tokenizer_->IsEnd(kEndOfText));
  EXPECT_FALSE(tokenizer_->IsEnd(0));
  EXPECT_FALSE(tokenizer_->default_options().bos) << "as llama.cpp has it where a file is silent";
  EXPECT_EQ(Encode("", {.bos = true}), std::vector<TokenId>({kEndOfText}));
  EXPECT_EQ(tokenizer_->Decode(5, kEndOfText), "");
  EXPECT_EQ(tokenizer_->Decode(5, 15496), "Hello");
  EXPECT_EQ(tokenizer_->Decode(kEndOfText, 18435), " Hello");
  EXPECT_EQ(tokenizer_->Decode(5, 198), "\n");
  EXPECT_EQ(tokenizer_->Decode(5, 50257), "") << "outside the vocabulary";
  EXPECT_EQ(tokenizer_->Decode(5, -1), "");
}

TEST_P(Gpt2GgufTest, TextIsAControlTokenWhereAskedForOnly) {
  EXPECT_EQ(Encode("<|endoftext|>").size(), 7u);
  EXPECT_EQ(Encode("Hello<|endoftext|> Hello", {.parse_special = true}),
            std::vector<TokenId>({15496, 50256, 18435}));
}

INSTANTIATE_TEST_SUITE_P(Only, Gpt2GgufTest, testing::Values(kGpt2),
                         [](const auto&) { return "Gpt2"; });

}  // namespace
}  // namespace tvl
