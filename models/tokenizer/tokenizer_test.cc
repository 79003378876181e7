#include "models/tokenizer/tokenizer.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "models/tokenizer/llama2c_reference.h"
#include "models/tokenizer/loaded_tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {
namespace {

constexpr uint32_t kSeed = 20260103;

std::string DecodeAll(const Tokenizer& tokenizer, const std::vector<TokenId>& tokens) {
  std::string text;
  for (size_t i = 1; i < tokens.size(); ++i) text += tokenizer.Decode(tokens[i - 1], tokens[i]);
  return text;
}

// Encodes with BOS, compares with the reference, and decodes back.
void CheckAgainstReference(const LoadedTokenizer& tokenizer, const Llama2cReference& reference,
                           const std::string& text) {
  const std::vector<TokenId> tokens = tokenizer.Encode(text, {.bos = true, .eos = true});
  ASSERT_EQ(tokens, reference.Encode(text, true, true)) << testing::PrintToString(text);
  ASSERT_EQ(tokenizer.Encode(text), reference.Encode(text, false, false));
}

TEST(TokenizerTest, EncodesByHand) {
  const LoadedTokenizer t(Llama2cVocabulary(
      {{" ", -5}, {"a", -6}, {"b", -7}, {"ab", -1}, {"bb", -2}, {" ab", -3}, {"\xC3\xA9", -8}}));
  using Tokens = std::vector<TokenId>;
  const TokenId space = 259, a = 260, b = 261, bb = 263, space_ab = 264, e_acute = 265;
  EXPECT_EQ(t.Encode(""), Tokens({}));
  EXPECT_EQ(t.Encode("", {.bos = true}), Tokens({1}));
  EXPECT_EQ(t.Encode("", {.bos = true, .eos = true}), Tokens({1, 2}));
  EXPECT_EQ(t.Encode("a"), Tokens({space, a}));
  EXPECT_EQ(t.Encode("abb"), Tokens({space_ab, b}));
  EXPECT_EQ(t.Encode("bbb"), Tokens({space, bb, b})) << "the leftmost of equals merges first";
  EXPECT_EQ(t.Encode("\xC3\xA9"), Tokens({space, e_acute}));
  EXPECT_EQ(t.Encode("\xC3"), Tokens({space, 0xC3 + 3}));
  EXPECT_EQ(t.Encode("\xA9\xC3"), Tokens({space, 0xA9 + 3, 0xC3 + 3}));
  EXPECT_EQ(t.Encode(std::string_view("\0a", 2)), Tokens({space, 0 + 3, a})) << "NUL is a byte";
}

TEST(TokenizerTest, SpecialTokensWhereAskedFor) {
  TokenizerData data = Llama2cVocabulary({{" ", -5}, {"a", -6}, {"aa", -1}});
  using Tokens = std::vector<TokenId>;
  const TokenId space = 259, a = 260, aa = 261;
  const LoadedTokenizer t(data);
  const EncodeOptions special = {.parse_special = true};
  EXPECT_EQ(t.Encode("<s>a</s>aa<unk>", special), Tokens({1, space, a, 2, space, aa, 0}));
  EXPECT_EQ(t.Encode("a<s>", {.bos = true, .eos = true, .continues = true, .parse_special = true}),
            Tokens({1, a, 1, 2}));
  EXPECT_EQ(t.Encode("\n<s>", special), Tokens({space, '\n' + 3, 1}));
  EXPECT_EQ(t.Encode("<s").size(), 3u);
  for (const TokenId token : t.Encode("<s></s><unk>")) EXPECT_GT(token, 2);

  // The longest, from left to right; the lowest of equals; none that is empty.
  data.pieces.insert(data.pieces.end(), {"a<", "<s>b", "<s>bcd", "<s>b", ""});
  data.scores.resize(data.pieces.size());
  for (uint32_t id = 262; id < data.pieces.size(); ++id) data.added_tokens.push_back({id, 0});
  const LoadedTokenizer added(data);
  EXPECT_EQ(added.Encode("<s>b<s>bcd<s>"), Tokens({263, 264, space, '<' + 3, 's' + 3, '>' + 3}));
  EXPECT_EQ(added.Encode("<s>bcd<s>bc", special), Tokens({264, 263, space, 'c' + 3}));
  EXPECT_EQ(added.Encode("a<s>b", special), Tokens({262, space, 's' + 3, '>' + 3, 'b' + 3}));
}

// Many tokens that are alike, and a text that is like all of them.
TEST(TokenizerTest, FindingSpecialTokensTakesLinearTime) {
  TokenizerData data = Llama2cVocabulary({{"<", -1}});
  for (int i = 0; i < 5000; ++i) {
    data.added_tokens.push_back({static_cast<uint32_t>(data.pieces.size()), 0});
    data.pieces.push_back(absl::StrCat("<<<unused", i, ">"));
    data.scores.push_back(0);
  }
  const LoadedTokenizer t(data);
  std::string text(1 << 18, '<');
  text += "<<<unused4999>";
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<TokenId> tokens = t.Encode(text);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::printf("%zu tokens in %.3f s\n", tokens.size(), seconds.count());
  EXPECT_EQ(tokens.size(), (1u << 18) + 1);
  EXPECT_EQ(tokens.back(), 259 + 5000);
  EXPECT_LT(seconds.count(), 30.0);
}

TEST(TokenizerTest, AppendsToTokensThatAreThere) {
  const LoadedTokenizer t(Llama2cVocabulary({{" ", -5}, {"a", -6}, {"aa", -1}}));
  std::vector<TokenId> tokens = {260};
  t->Encode("a", {}, &tokens);
  EXPECT_EQ(tokens, std::vector<TokenId>({260, 259, 260}));
}

TEST(TokenizerTest, EqualsTheReferenceOnRandomVocabularies) {
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  const std::vector<std::vector<std::string>> alphabets = {
      {"a", "b"},
      {"a", " ", "c", "\n"},
      {"a", "b", ""},  // the empty piece merges with everything
      {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\xA6\x99", "x", " "},
      {"<", "0", "x", "4", "1", ">", "<0x41>", "<0x0A>"},  // merges of byte pieces' own names
      {"\x80", "\xBF", "\xC3", "\xF0", "\xFF", "a"},
      {"\n<s>\n", " ", "a"},  // BOS takes part in merges
  };
  for (int round = 0; round < 140; ++round) {
    const std::vector<std::string>& alphabet = alphabets[round % alphabets.size()];
    const TokenizerData data = RandomVocabulary(random, alphabet, 4 << (round % 5), 1 + round % 6);
    const LoadedTokenizer tokenizer(data);
    const Llama2cReference reference(data);
    for (int i = 0; i < 60; ++i) {
      CheckAgainstReference(tokenizer, reference, RandomText(random, alphabet, 50));
      CheckAgainstReference(tokenizer, reference, RandomBytes(random, 40));
      std::string unicode;
      for (int k = static_cast<int>(random() % 20); k > 0; --k) unicode += RandomCharacter(random);
      CheckAgainstReference(tokenizer, reference, unicode);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(TokenizerTest, EqualsTheReferenceWithoutRoomForBytes) {
  TokenizerData data;
  data.flags = kTokenizerDummyPrefix;
  data.unk_id = 0;
  data.bos_id = 1;
  data.eos_id = 2;
  data.pieces = {"<unk>", "<s>", "</s>", " ", "a", "b", "ab", "<unk>a"};
  data.scores = {0, 0, 0, -1, -2, -3, -4, -5};
  const LoadedTokenizer tokenizer(data);
  const Llama2cReference reference(data);
  std::mt19937 random(kSeed);
  for (int i = 0; i < 2000; ++i) {
    CheckAgainstReference(tokenizer, reference,
                          RandomText(random, {"a", "b", " ", "\xC3\xA9", "\x80"}, 12));
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(TokenizerTest, DecodesWhatItEncoded) {
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  // Without spaces at the front, and without merges that name byte pieces, decoding gives the text
  // back.
  const LoadedTokenizer tokenizer(Llama2cVocabulary(
      {{" ", -9}, {"a", -8}, {"b", -7}, {"ab", -1}, {" a", -2}, {"ba", -3}, {"bab", -4}}));
  for (int i = 0; i < 3000; ++i) {
    const std::string text =
        i % 2 == 0 ? RandomBytes(random, 60) : RandomText(random, {"a", "b", " "}, 60);
    EXPECT_EQ(DecodeAll(*tokenizer, tokenizer.Encode(text, {.bos = true})), text);
  }
}

TEST(TokenizerTest, DecodesEveryToken) {
  const TokenizerData data = Llama2cVocabulary({{" ", 0}, {" a", 0}, {"a", 0}, {"", 0}});
  const LoadedTokenizer t(data);
  EXPECT_EQ(t->vocab_size(), 263u);
  for (int b = 0; b < 256; ++b) {
    EXPECT_EQ(t->Decode(5, b + 3), std::string(1, static_cast<char>(b)));
  }
  EXPECT_EQ(t->Decode(5, 0), "<unk>");
  EXPECT_EQ(t->Decode(5, 1), "\n<s>\n");
  EXPECT_EQ(t->Decode(5, 260), " a");
  EXPECT_EQ(t->Decode(1, 260), "a") << "a space after BOS is dropped";
  EXPECT_EQ(t->Decode(1, 259), "");
  EXPECT_EQ(t->Decode(1, 261), "a");
  EXPECT_EQ(t->Decode(-1, 260), " a");
  EXPECT_EQ(t->Decode(5, 262), "");
  EXPECT_EQ(t->Decode(5, 263), "") << "outside the vocabulary";
  EXPECT_EQ(t->Decode(5, -1), "");
  EXPECT_EQ(t->Decode(5, INT32_MIN), "");
  EXPECT_EQ(t->Decode(5, INT32_MAX), "");
}

TEST(TokenizerTest, WithoutBosNothingIsStripped) {
  TokenizerData data = Llama2cVocabulary({{" a", 0}});
  data.bos_id = -1;
  const LoadedTokenizer t(data);
  EXPECT_EQ(t->Decode(-1, 259), " a");
  EXPECT_EQ(t->Decode(1, 259), " a");
  EXPECT_EQ(t.Encode("", {.bos = true}), std::vector<TokenId>({}));
}

// The byte pieces are whatever scanf takes, so scanf is the judge.
TEST(TokenizerTest, OddBytePiecesDecodeAsScanfDoes) {
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  const std::vector<std::string> alphabet = {"0", "1", "4", "9", "a",  "F",  "g", ">",
                                             "<", "+", "-", " ", "\n", "\t", "Z", "\xFF"};
  std::vector<std::pair<std::string, float>> extra = {
      {"<0x4>", 0},   {"<0xZZ>", 0}, {"<0x", 0},    {"<0x>", 0},  {"<0x41", 0},
      {"<0x123>", 0}, {"<0X41>", 0}, {"<0x-1>", 0}, {"<0x+>", 0}, {"<", 0},
      {"<0x 4>", 0},  {"<0x0a>", 0}, {" <0x41>", 0}};
  for (int i = 0; i < 4000; ++i) extra.emplace_back("<0x" + RandomText(random, alphabet, 5), 0.0f);
  const TokenizerData data = Llama2cVocabulary(extra);
  const LoadedTokenizer t(data);
  for (size_t i = 259; i < data.pieces.size(); ++i) {
    for (const TokenId previous : {1, 5}) {
      std::string expected = data.pieces[i];
      if (previous == 1 && expected.front() == ' ') expected.erase(0, 1);
      unsigned char byte = 0;
      if (std::sscanf(expected.c_str(), "<0x%02hhX>", &byte) == 1) {
        expected = std::string(1, static_cast<char>(byte));
      }
      EXPECT_EQ(t->Decode(previous, static_cast<TokenId>(i)), expected) << data.pieces[i];
    }
  }
}

TEST(TokenizerTest, KnowsEndTokensAndDefaults) {
  TokenizerData data = Llama2cVocabulary({});
  const LoadedTokenizer t(data);
  EXPECT_TRUE(t->IsEnd(1));
  EXPECT_TRUE(t->IsEnd(2));
  EXPECT_FALSE(t->IsEnd(0));
  EXPECT_FALSE(t->IsEnd(-1));
  EXPECT_EQ(t->bos_id(), 1);
  EXPECT_EQ(t->eos_id(), 2);
  EXPECT_TRUE(t->default_options().bos);
  EXPECT_FALSE(t->default_options().eos);
}

std::string CreateError(const TokenizerData& data) {
  const std::string section = SerializeTokenizer(data);
  return absl::StrCat(Tokenizer::Create(*ParseTokenizer(TestBytes(section))).status().message());
}

TEST(TokenizerTest, RefusesWhatItCannotDo) {
  TokenizerData data = Llama2cVocabulary({});
  data.kind = static_cast<TokenizerKind>(4);
  EXPECT_EQ(CreateError(data),
            "tokenizer section: kind: expected 1 (llama2.c score BPE), 2 (SentencePiece BPE) or 3 "
            "(byte-level BPE), which are all that this version reads, found 4");
  data = Llama2cVocabulary({});
  data.scores.clear();
  EXPECT_EQ(
      CreateError(data),
      "tokenizer section: scores: expected one per piece for a tokenizer of kind 1, found none");
  data = Llama2cVocabulary({});
  data.pieces.resize(258);
  data.scores.resize(258);
  EXPECT_EQ(
      CreateError(data),
      "tokenizer section: vocab_size: expected at least 259 for byte fallback in a tokenizer of "
      "kind 1, found 258");
}

// A quadratic encoder takes hours here; the bound is loose, so that emulators and sanitizers pass.
TEST(TokenizerTest, OneMegabyteOfOneCharacterIsNotQuadratic) {
  std::vector<std::pair<std::string, float>> doubling = {{" ", -1}};
  std::vector<std::pair<std::string, float>> growing = {{" ", -1}};
  for (size_t n = 1; n <= 4096; n *= 2) doubling.emplace_back(std::string(n, 'a'), -50.0f + n);
  for (int n = 1; n <= 300; ++n) growing.emplace_back(std::string(n, 'a'), 1.0f * n);
  const std::string text(1 << 20, 'a');
  for (const auto& pieces : {doubling, growing}) {
    const LoadedTokenizer tokenizer(Llama2cVocabulary(pieces));
    const auto begin = std::chrono::steady_clock::now();
    const std::vector<TokenId> tokens = tokenizer.Encode(text, {.bos = true});
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    std::printf("%zu tokens in %.3f s\n", tokens.size(), seconds.count());
    EXPECT_EQ(DecodeAll(*tokenizer, tokens), text);
    EXPECT_LT(seconds.count(), 30.0);
  }
}

}  // namespace
}  // namespace tvl
