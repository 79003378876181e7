#include "models/import/llama2c_tokenizer.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {
namespace {

constexpr uint32_t kSeed = 20260103;

template <typename T>
std::string Raw(T value) {
  std::string bytes(sizeof(value), '\0');
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

std::string Token(float score, std::string_view piece) {
  return Raw(score) + Raw(static_cast<int32_t>(piece.size())) + std::string(piece);
}

absl::StatusOr<TokenizerData> Import(std::string_view file, int64_t vocab_size) {
  // A copy of exactly this size, so that a sanitizer sees any byte read beyond it.
  const std::vector<char> exact(file.begin(), file.end());
  return ImportLlama2cTokenizer(std::as_bytes(std::span<const char>(exact)), vocab_size);
}

std::string ImportError(std::string_view file, int64_t vocab_size) {
  const absl::StatusOr<TokenizerData> data = Import(file, vocab_size);
  if (data.ok()) return "accepted";
  EXPECT_EQ(data.status().code(), absl::StatusCode::kInvalidArgument);
  return absl::StrCat(data.status().message());
}

std::string GoodFile() {
  return Raw(int32_t{6}) + Token(0, "<unk>") + Token(0, "\n<s>\n") + Token(0, "\n</s>\n") +
         Token(-1.5f, " ") + Token(-2, "\xE2\x82\xAC") + Token(-3, "");
}

TEST(Llama2cTokenizerTest, ReadsEveryField) {
  const absl::StatusOr<TokenizerData> data = Import(GoodFile(), 6);
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->kind, TokenizerKind::kLlama2c);
  EXPECT_EQ(data->flags, kTokenizerDummyPrefix | kTokenizerAddBos);
  EXPECT_EQ(data->pieces,
            std::vector<std::string>({"<unk>", "\n<s>\n", "\n</s>\n", " ", "\xE2\x82\xAC", ""}));
  EXPECT_EQ(data->scores, std::vector<float>({0, 0, 0, -1.5f, -2, -3}));
  EXPECT_EQ(data->unk_id, 0);
  EXPECT_EQ(data->bos_id, 1);
  EXPECT_EQ(data->eos_id, 2);
  EXPECT_EQ(data->pad_id, -1);
  EXPECT_EQ(data->end_tokens, std::vector<TokenId>({1, 2}));
  EXPECT_TRUE(data->piece_types.empty());
}

TEST(Llama2cTokenizerTest, ByteFallbackNeedsRoomForIt) {
  std::string file = Raw(int32_t{1});
  for (int i = 0; i < 258; ++i) file += Token(0, "x");
  EXPECT_EQ(Import(file, 258)->flags & kTokenizerByteFallback, 0u);
  file += Token(0, "y");
  EXPECT_EQ(Import(file, 259)->flags & kTokenizerByteFallback, kTokenizerByteFallback);
}

TEST(Llama2cTokenizerTest, TinyVocabulariesHaveTheIdsTheyHaveRoomFor) {
  const absl::StatusOr<TokenizerData> one = Import(Raw(int32_t{1}) + Token(0, "a"), 1);
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->bos_id, -1);
  EXPECT_TRUE(one->end_tokens.empty());
  const absl::StatusOr<TokenizerData> two =
      Import(Raw(int32_t{1}) + Token(0, "a") + Token(0, "b"), 2);
  ASSERT_TRUE(two.ok());
  EXPECT_EQ(two->bos_id, 1);
  EXPECT_EQ(two->eos_id, -1);
  EXPECT_EQ(two->end_tokens, std::vector<TokenId>({1}));
}

TEST(Llama2cTokenizerTest, SaysWhatIsWrong) {
  const std::string p = "llama2.c tokenizer: ";
  const std::string good = GoodFile();
  EXPECT_EQ(ImportError(good, 0),
            p + "vocabulary size of the model: expected 1 to 2147483647, found 0");
  EXPECT_EQ(ImportError(good, -6),
            p + "vocabulary size of the model: expected 1 to 2147483647, found -6");
  EXPECT_EQ(ImportError(good, int64_t{1} << 31),
            p + "vocabulary size of the model: expected 1 to 2147483647, found 2147483648");
  EXPECT_EQ(ImportError("", 6), p + "max_token_length at byte 0: expected 4 bytes, found 0");
  EXPECT_EQ(ImportError(Raw(int32_t{-1}) + good.substr(4), 6),
            p + "max_token_length at byte 0: expected 0 or more, found -1");
  EXPECT_EQ(ImportError(good, 7),
            p + "token 6 of 7 at byte 72: expected 8 bytes of score and length, found 0 before the "
                "file's end");
  EXPECT_EQ(
      ImportError(good, 5),
      p + "after token 4 at byte 64: expected the file's end after the model's 5 tokens, found 8 "
          "more bytes");
  EXPECT_EQ(
      ImportError(good + "x", 6),
      p + "after token 5 at byte 72: expected the file's end after the model's 6 tokens, found 1 "
          "more byte");
  EXPECT_EQ(ImportError(good.substr(0, 15), 6),
            p + "token 0: piece at byte 12: expected 5 bytes, found 3 before the file's end");
  EXPECT_EQ(ImportError(Raw(int32_t{6}) + Raw(1.0f) + Raw(int32_t{-1}), 1),
            p + "token 0: length at byte 8: expected 0 to max_token_length, 6, found -1");
  EXPECT_EQ(ImportError(Raw(int32_t{2}) + Token(0, "ab") + Token(0, "abc"), 2),
            p + "token 1: length at byte 18: expected 0 to max_token_length, 2, found 3");
  EXPECT_EQ(ImportError(Raw(int32_t{2}) + Token(std::nanf(""), "ab"), 1),
            p + "token 0: score at byte 4: expected a number, found NaN");
  EXPECT_EQ(ImportError(Raw(int32_t{9}) + Token(0, std::string_view("ab\0c", 4)), 1),
            p + "token 0: piece at byte 12: expected 4 bytes other than zero, found a zero byte at "
                "byte 14");
}

TEST(Llama2cTokenizerTest, EveryTruncationIsAnError) {
  const std::string good = GoodFile();
  for (size_t n = 0; n < good.size(); ++n) EXPECT_NE(ImportError(good.substr(0, n), 6), "accepted");
}

// A vocabulary size that the file cannot back must not be believed before the tokens are there.
TEST(Llama2cTokenizerTest, HugeVocabularySizeAllocatesNothing) {
  EXPECT_NE(ImportError(GoodFile(), 2147483647), "accepted");
}

TEST(Llama2cTokenizerTest, RandomDamageNeverHurts) {
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  for (int round = 0; round < 20000; ++round) {
    std::string file = GoodFile();
    for (int i = 1 + static_cast<int>(random() % 3); i > 0; --i) {
      file[random() % file.size()] = static_cast<char>(random());
    }
    const absl::StatusOr<TokenizerData> data = Import(file, 1 + random() % 7);
    if (data.ok()) {
      const std::string section = SerializeTokenizer(*data);
      EXPECT_TRUE(ParseTokenizer(std::as_bytes(std::span<const char>(section))).ok());
    }
  }
}

// Letters a to z, then all words of two letters, of three and so on: with a piece all its
// beginnings are pieces. Ids below 259 are the special ones and the bytes.
std::string Word(size_t number) {
  std::string word;
  for (size_t n = number + 1; n > 0; n = (n - 1) / 26) {
    word.insert(word.begin(), static_cast<char>('a' + (n - 1) % 26));
  }
  return word;
}

std::string Vocabulary(size_t size) {
  constexpr size_t kFirstWord = 259;
  std::string file = Raw(int32_t{6});
  for (size_t id = 0; id < std::min(size, kFirstWord); ++id) {
    const std::string special[] = {"<unk>", "<s>", "</s>"};
    file += Token(0, id < 3 ? special[id] : absl::StrFormat("<0x%02X>", id - 3));
  }
  for (size_t id = kFirstWord; id < size; ++id) {
    file += Token(-static_cast<float>(id), Word(id - kFirstWord));
  }
  return file;
}

// What a .tvl file makes of it.
class Converted {
 public:
  Converted(std::string_view file, int64_t vocab_size) {
    const absl::StatusOr<TokenizerData> data = Import(file, vocab_size);
    EXPECT_TRUE(data.ok()) << data.status();
    section_ = SerializeTokenizer(*data);
  }
  Tokenizer tokenizer() const {
    return *Tokenizer::Create(*ParseTokenizer(std::as_bytes(std::span<const char>(section_))));
  }

 private:
  std::string section_;
};

std::string Decoded(const Tokenizer& tokenizer, std::span<const TokenId> tokens) {
  std::string text;
  for (const TokenId token : tokens) text += tokenizer.Decode(-1, token);
  return text;
}

// With a million pieces and a quarter of a million bytes of text: time in proportion to either
// squared would not end within the test's limit.
TEST(Llama2cTokenizerTest, VocabulariesOfAnySize) {
  std::mt19937 random(kSeed);
  std::string text(size_t{1} << 18, ' ');
  for (char& c : text) c = static_cast<char>('a' + random() % 26);
  for (const size_t size : {1, 2, 3, 258, 259, 260, 100000, 1000000}) {
    const Converted converted(Vocabulary(size), static_cast<int64_t>(size));
    const Tokenizer tokenizer = converted.tokenizer();
    EXPECT_EQ(tokenizer.vocab_size(), size);
    std::vector<TokenId> tokens;
    tokenizer.Encode(text, {}, &tokens);
    if (size >= 259) {
      EXPECT_EQ(Decoded(tokenizer, tokens), text) << size;
      EXPECT_EQ(tokens.size() < text.size(), size > 260) << size;
    } else {
      // No byte pieces: what is no piece is <unk>.
      EXPECT_EQ(tokens, std::vector<TokenId>(tokens.size(), 0)) << size;
    }
    const TokenId last = static_cast<TokenId>(size) - 1;
    EXPECT_EQ(tokenizer.view().FindPiece(tokenizer.view().piece(last)), last);
    EXPECT_EQ(tokenizer.Decode(-1, last + 1), "");
  }
}

// Pieces of up to 2^20 bytes, in the order of merging that is best and in the one that is worst.
TEST(Llama2cTokenizerTest, PiecesOfAnyLength) {
  constexpr int kDoublings = 20;
  for (const float sign : {-1.0f, 1.0f}) {
    std::string file = Raw(int32_t{1} << kDoublings);
    for (int i = 0; i <= kDoublings; ++i) {
      file += Token(sign * static_cast<float>(i), std::string(size_t{1} << i, 'x'));
    }
    const Converted converted(file, kDoublings + 1);
    const Tokenizer tokenizer = converted.tokenizer();
    std::vector<TokenId> tokens;
    tokenizer.Encode(std::string((size_t{1} << kDoublings) + 5, 'x'), {}, &tokens);
    EXPECT_EQ(tokens, std::vector<TokenId>({kDoublings, 2, 0}));
    EXPECT_EQ(tokenizer.Decode(-1, kDoublings).size(), size_t{1} << kDoublings);
  }
}

TEST(Llama2cTokenizerTest, PiecesOfOneByte) {
  const Converted converted(Raw(int32_t{1}) + Token(0, "?") + Token(0, "a") + Token(0, "b"), 3);
  std::vector<TokenId> tokens;
  converted.tokenizer().Encode("abcba", {}, &tokens);
  EXPECT_EQ(tokens, std::vector<TokenId>({1, 2, 0, 2, 1}));
}

}  // namespace
}  // namespace tvl
