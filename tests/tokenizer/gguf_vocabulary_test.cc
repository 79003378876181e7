// Llama 2's vocabulary as GGUF has it, with texts and the tokens that llama.cpp makes of them.
// Needs the environment variable TVL_SHARED_DATA_DIR: a folder that holds
// ggml-vocab-llama-spm.gguf, .inp (texts with lines of __ggml_vocab_test__ between them) and .out
// (their tokens, a line each).

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
#include "absl/strings/str_split.h"
#include "core/mapped_file.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "models/import/gguf_file.h"
#include "models/import/gguf_tokenizer.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {
namespace {

constexpr uint32_t kSeed = 20260103;
constexpr uint32_t kVocabulary = 32000;

std::string Path(const std::string& name) {
  const char* folder = std::getenv("TVL_SHARED_DATA_DIR");
  return std::string(folder == nullptr ? "" : folder) + "/ggml-vocab-llama-spm.gguf" + name;
}

std::string Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << "cannot open " << path;
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

class GgufVocabularyTest : public testing::Test {
 protected:
  void SetUp() override {
    const absl::StatusOr<MappedFile> file = MappedFile::Open(Path(""));
    ASSERT_TRUE(file.ok()) << file.status();
    const absl::StatusOr<GgufFile> gguf = ParseGguf(file->bytes());
    ASSERT_TRUE(gguf.ok()) << gguf.status();
    EXPECT_TRUE(gguf->tensors.empty());
    absl::StatusOr<TokenizerData> data = ImportGgufTokenizer(gguf->metadata, kVocabulary);
    ASSERT_TRUE(data.ok()) << data.status();
    section_ = SerializeTokenizer(*data);
    const absl::StatusOr<TokenizerView> view =
        ParseTokenizer(std::as_bytes(std::span(section_.data(), section_.size())));
    ASSERT_TRUE(view.ok()) << view.status();
    const absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Create(*view);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    tokenizer_ = std::make_unique<Tokenizer>(*tokenizer);
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

TEST_F(GgufVocabularyTest, EqualsLlamaCpp) {
  const std::vector<std::string> texts =
      absl::StrSplit(Read(Path(".inp")), "\n__ggml_vocab_test__\n");
  std::istringstream lines(Read(Path(".out")));
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

TEST_F(GgufVocabularyTest, KnowsItsTokens) {
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

TEST_F(GgufVocabularyTest, TextIsNeverAControlToken) {
  for (const TokenId token : Encode("<s> </s> <unk> </s></s>")) EXPECT_GT(token, 2);
}

TEST_F(GgufVocabularyTest, DecodesWhatItEncoded) {
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  for (int i = 0; i < 2000; ++i) {
    std::string text(random() % 100, ' ');
    for (char& c : text) c = static_cast<char>(i % 2 == 0 ? random() % 256 : ' ' + random() % 95);
    EXPECT_EQ(Decode(tokenizer_->bos_id(), Encode(text)), text);
  }
}

}  // namespace
}  // namespace tvl
