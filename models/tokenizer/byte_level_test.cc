// Tokenizer kind 3. tests/tokenizer compares it with llama.cpp's on a real vocabulary, and its
// words with another engine's.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "models/tokenizer/llama2c_reference.h"
#include "models/tokenizer/loaded_tokenizer.h"
#include "models/tokenizer/pre_tokenizer.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"

namespace tvl {
namespace {

constexpr uint32_t kSeed = 20260103;
using Tokens = std::vector<TokenId>;
using Merges = std::vector<std::pair<std::string, std::string>>;

constexpr TokenId kEnd = 256;          // <|end|>, BOS and EOS
constexpr TokenId kFirstMerged = 257;  // what the merges make

// The bytes in their order, <|end|>, then what the merges make.
TokenizerData Vocabulary(const Merges& merges, PreTokenizer pre_tokenizer = PreTokenizer::kGpt2) {
  TokenizerData data;
  data.kind = TokenizerKind::kByteLevelBpe;
  data.pre_tokenizer = static_cast<uint32_t>(pre_tokenizer);
  data.bos_id = data.eos_id = kEnd;
  data.end_tokens = {kEnd};
  std::map<std::string, uint32_t> ids;
  const auto add = [&](const std::string& piece, PieceType type) {
    ids.emplace(piece, static_cast<uint32_t>(data.pieces.size()));
    data.pieces.push_back(piece);
    data.piece_types.push_back(type);
  };
  for (int byte = 0; byte < 256; ++byte)
    add(std::string(1, static_cast<char>(byte)), PieceType::kNormal);
  add("<|end|>", PieceType::kControl);
  for (const auto& [left, right] : merges) {
    if (!ids.contains(left + right)) add(left + right, PieceType::kNormal);
    data.merges.push_back({ids.at(left), ids.at(right), ids.at(left + right)});
  }
  return data;
}

std::string Decode(const LoadedTokenizer& tokenizer, const Tokens& tokens) {
  std::string text;
  for (const TokenId token : tokens) text += tokenizer->Decode(-1, token);
  return text;
}

// The shortest correct loops, on the words' text: all pairs are looked at for each merge.
Tokens Reference(const Merges& merges, const TokenizerData& data, std::string_view text) {
  std::vector<std::string_view> words;
  SplitWords(data.pre_tokenizer, text, &words);
  Tokens tokens;
  for (const std::string_view word : words) {
    std::vector<std::string> parts;
    for (const char c : word) parts.emplace_back(1, c);
    while (true) {
      size_t best = 0, rank = merges.size();
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        for (size_t r = 0; r < rank; ++r) {
          if (merges[r].first == parts[i] && merges[r].second == parts[i + 1]) {
            best = i;
            rank = r;
          }
        }
      }
      if (rank == merges.size()) break;
      parts[best] += parts[best + 1];
      parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    }
    for (const std::string& part : parts) {
      size_t id = 0;
      while (data.pieces[id] != part) ++id;
      tokens.push_back(static_cast<TokenId>(id));
    }
  }
  return tokens;
}

TEST(ByteLevelTest, EncodesByHand) {
  const LoadedTokenizer t(
      Vocabulary({{"a", "b"}, {"ab", "c"}, {"b", "c"}, {" ", "ab"}, {"b", "b"}}));
  const TokenId ab = kFirstMerged, abc = ab + 1, bc = ab + 2, space_ab = ab + 3, bb = ab + 4;
  EXPECT_EQ(t.Encode(""), Tokens({}));
  EXPECT_EQ(t.Encode("", {.bos = true, .eos = true}), Tokens({kEnd, kEnd}));
  EXPECT_EQ(t.Encode("ab", {.bos = true}), Tokens({kEnd, ab}));
  EXPECT_EQ(t.Encode("abc"), Tokens({abc}));
  EXPECT_EQ(t.Encode("bc"), Tokens({bc}));
  EXPECT_EQ(t.Encode("bbb"), Tokens({bb, 'b'})) << "the leftmost of equals merges first";
  EXPECT_EQ(t.Encode("x ab"), Tokens({'x', space_ab}));
  EXPECT_EQ(t.Encode(" abc"), Tokens({' ', abc})) << "the lowest rank merges first";
  EXPECT_EQ(t.Encode("a b"), Tokens({'a', ' ', 'b'})) << "words are merged by themselves";
  EXPECT_EQ(t.Encode("ab", {.continues = true}), Tokens({ab})) << "there is no dummy prefix";
  EXPECT_EQ(t.Encode("\xFF\x80"), Tokens({0xFF, 0x80}));
  EXPECT_EQ(t.Encode(std::string_view("\0", 1)), Tokens({0}));
}

TEST(ByteLevelTest, DecodesInPlace) {
  const TokenizerData data = Vocabulary({{"\xC3", "\xA9"}});
  const std::string section = SerializeTokenizer(data);
  const absl::StatusOr<Tokenizer> t = Tokenizer::Create(*ParseTokenizer(TestBytes(section)));
  ASSERT_TRUE(t.ok()) << t.status();
  for (int byte = 0; byte < 256; ++byte) {
    const std::string_view text = t->Decode(kEnd, byte);
    EXPECT_EQ(text, std::string(1, static_cast<char>(byte)));
    EXPECT_GE(text.data(), section.data());
    EXPECT_LE(text.data() + text.size(), section.data() + section.size());
  }
  EXPECT_EQ(t->Decode(-1, kFirstMerged), "\xC3\xA9");
  EXPECT_EQ(t->Decode('a', kEnd), "");
  EXPECT_EQ(t->Decode('a', kFirstMerged + 1), "") << "outside the vocabulary";
  EXPECT_EQ(t->Decode('a', -1), "");
}

TEST(ByteLevelTest, SpecialTokens) {
  TokenizerData data = Vocabulary({{"e", "n"}, {"en", "d"}});
  data.added_tokens.push_back({static_cast<uint32_t>(data.pieces.size()), 0});
  data.pieces.push_back("<b>");
  data.piece_types.push_back(PieceType::kUserDefined);
  const LoadedTokenizer t(data);
  const TokenId end = kFirstMerged + 1, tag = end + 1;
  EXPECT_EQ(t.Encode("end<b> <b>"), Tokens({end, tag, ' ', tag}));
  EXPECT_EQ(t.Encode("<|end|>"), Tokens({'<', '|', end, '|', '>'}));
  EXPECT_EQ(t.Encode("<|end|>end<|end|>", {.parse_special = true}), Tokens({kEnd, end, kEnd}));
  EXPECT_EQ(t->Decode(-1, tag), "<b>");
}

TEST(ByteLevelTest, WholePiecesFirst) {
  // No merge makes "abcd", and none makes the control token's text.
  TokenizerData data = Vocabulary({{"a", "b"}, {"c", "d"}}, PreTokenizer::kNone);
  data.pieces.push_back("abcd");
  data.piece_types.push_back(PieceType::kNormal);
  const TokenId ab = kFirstMerged, cd = ab + 1, abcd = ab + 2;
  EXPECT_EQ(LoadedTokenizer(data).Encode("abcd"), Tokens({ab, cd}));
  data.flags = kTokenizerWholePieceFirst;
  const LoadedTokenizer t(data);
  EXPECT_EQ(t.Encode("abcd"), Tokens({abcd}));
  EXPECT_EQ(t.Encode("abcda"), Tokens({ab, cd, 'a'})) << "the word is more";
  EXPECT_EQ(t.Encode("<|end|>").size(), 7u) << "a control token is no text";
}

TEST(ByteLevelTest, WithoutTypes) {
  TokenizerData data = Vocabulary({{"a", "b"}});
  data.piece_types.clear();
  const LoadedTokenizer t(data);
  EXPECT_EQ(t.Encode("ab"), Tokens({kFirstMerged}));
  EXPECT_EQ(t.Encode("<|end|>", {.parse_special = true}), Tokens({kEnd})) << "bos_id";
  EXPECT_EQ(t->Decode(-1, kEnd), "<|end|>");
}

TEST(ByteLevelTest, EqualsTheReferenceOnRandomVocabularies) {
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  const std::vector<std::vector<std::string>> alphabets = {
      {"a", "b"}, {"a", " ", "1", "\n", "'s"}, {"\xC3\xA9", "\xE2\x82\xAC", "x", " ", "\xFF"}};
  for (uint32_t round = 0; round < 60; ++round) {
    const std::vector<std::string>& alphabet = alphabets[round % alphabets.size()];
    // Each merge is of parts that there are.
    std::vector<std::string> parts;
    for (const std::string& letter : alphabet) {
      for (const char c : letter) parts.emplace_back(1, c);
    }
    Merges merges;
    for (uint32_t i = 0; i < 4 + round / 2; ++i) {
      merges.emplace_back(parts[random() % parts.size()], parts[random() % parts.size()]);
      parts.push_back(merges.back().first + merges.back().second);
    }
    const TokenizerData data =
        Vocabulary(merges, static_cast<PreTokenizer>(round % kPreTokenizerCount));
    const LoadedTokenizer t(data);
    for (int i = 0; i < 40; ++i) {
      const std::string text =
          i % 4 == 0 ? RandomBytes(random, 40) : RandomText(random, alphabet, 50);
      const Tokens tokens = t.Encode(text);
      ASSERT_EQ(tokens, Reference(merges, data, text)) << testing::PrintToString(text);
      ASSERT_EQ(Decode(t, tokens), text);
    }
  }
}

TEST(ByteLevelTest, OneMegabyteOfOneLetterIsNotQuadratic) {
  Merges doubling = {{"a", "a"}};
  for (int n = 0; n < 12; ++n) {
    const std::string twice = doubling.back().first + doubling.back().second;
    doubling.emplace_back(twice, twice);
  }
  const LoadedTokenizer t(Vocabulary(doubling));
  const auto begin = std::chrono::steady_clock::now();
  const Tokens tokens = t.Encode(std::string(1 << 20, 'a'));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::printf("%zu tokens in %.3f s\n", tokens.size(), seconds.count());
  EXPECT_EQ(tokens.size(), size_t{1 << 20} >> doubling.size());
  EXPECT_LT(seconds.count(), 30.0);
}

// The expressions of a pre-tokenizer are compiled once, whoever comes first.
TEST(ByteLevelTest, ServesThreadsAtOnce) {
  const TokenizerData data = Vocabulary({{"a", "b"}}, PreTokenizer::kDeepSeek3);
  const std::string section = SerializeTokenizer(data);
  std::vector<Tokens> results(8);
  std::vector<std::thread> threads;
  for (Tokens& result : results) {
    threads.emplace_back([&] {
      const absl::StatusOr<Tokenizer> t = Tokenizer::Create(*ParseTokenizer(TestBytes(section)));
      for (int i = 0; i < 100; ++i) t->Encode("ab 12345 ab", {}, &result);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Tokens& result : results) EXPECT_EQ(result, results[0]);
  EXPECT_EQ(results[0].size(), 100u * 9);
}

std::string CreateError(const TokenizerData& data) {
  const std::string section = SerializeTokenizer(data);
  return absl::StrCat(Tokenizer::Create(*ParseTokenizer(TestBytes(section))).status().message());
}

TEST(ByteLevelTest, RefusesWhatLacksSomething) {
  const TokenizerData good = Vocabulary({{"a", "b"}});
  EXPECT_EQ(CreateError(good), "");
  TokenizerData data = good;
  data.pre_tokenizer = 77;
  EXPECT_EQ(CreateError(data),
            "tokenizer section: pre_tokenizer: expected a number from 0 to 26, which are all that "
            "this version knows, found 77");
  data = good;
  data.flags = kTokenizerDummyPrefix;
  EXPECT_EQ(
      CreateError(data),
      "tokenizer section: flags: expected no bits but 140 for a tokenizer of kind 3, found 1");
}

TEST(ByteLevelTest, BytesWithoutTokensGiveNone) {
  TokenizerData data = Vocabulary({{"a", "b"}});
  data.pieces[0xAB] = data.pieces[0xFF] = data.pieces['c'] = "?";
  for (const TokenId unknown : {-1, int{'u'}, int{kEnd}}) {  // whatever its type
    data.unk_id = unknown;
    const LoadedTokenizer t(data);
    EXPECT_EQ(t.Encode("a\xAB"), Tokens({'a'}));
    EXPECT_EQ(t.Encode("a\xFF\xFF b"), Tokens({'a', ' ', 'b'}));
    EXPECT_EQ(t.Encode("acb"), Tokens({'a', 'b'})) << "not merged over what gives none";
    EXPECT_EQ(t.Encode("\xAB"), Tokens());
  }
  data.piece_types[0xAB] = PieceType::kControl;
  data.pieces[0xAB] = "\xAB";
  EXPECT_EQ(LoadedTokenizer(data).Encode("a\xAB"), Tokens({'a'})) << "a control token is no text";
}

TEST(ByteLevelTest, WithoutMerges) {
  EXPECT_EQ(LoadedTokenizer(Vocabulary({})).Encode("ab"), Tokens({'a', 'b'}));
}

// Numbers beyond the vocabulary: of bytes, and of what merges make on their way.
TEST(ByteLevelTest, MergesOfWhatIsNoPiece) {
  TokenizerData data = Vocabulary({});
  data.pieces['b'] = data.pieces[0xE9] = "?";
  data.pieces.push_back("abc");
  data.piece_types.push_back(PieceType::kNormal);
  const uint32_t size = static_cast<uint32_t>(data.pieces.size()), abc = size - 1;
  const uint32_t b = size + 'b', ab = size + 256, space_a = size + 257, e_acute_x = size + 258;
  data.merges = {{'a', b, ab}, {ab, 'c', abc}, {' ', 'a', space_a}, {size + 0xE9, 'x', e_acute_x}};
  const LoadedTokenizer t(data);
  EXPECT_EQ(t.Encode("abc"), Tokens({static_cast<TokenId>(abc)}));
  EXPECT_EQ(t.Encode("abab"), Tokens({'a', 'a'})) << "falls apart; b has no token";
  EXPECT_EQ(t.Encode("x a"), Tokens({'x', 'a'})) << "a space is no letter of its own";
  EXPECT_EQ(t.Encode("\xE9x"), Tokens({'x'}));
}

// Of equal pieces text becomes the one that is text, wherever the others stand.
TEST(ByteLevelTest, NothingHidesWhatTextBecomes) {
  for (const PieceType type : {PieceType::kControl, PieceType::kUnknown, PieceType::kUserDefined}) {
    TokenizerData data = Vocabulary({}, PreTokenizer::kNone);
    data.flags = kTokenizerWholePieceFirst;
    for (const PieceType each : {type, PieceType::kNormal, PieceType::kNormal}) {
      data.pieces.push_back("\xE2\x80\x8D");
      data.piece_types.push_back(each);
    }
    data.pieces[kEnd] = "a";
    data.piece_types[kEnd] = type;
    std::swap(data.pieces[kEnd], data.pieces['a']);  // both are "a"; this one is lower
    std::swap(data.piece_types['a'], data.piece_types[kEnd]);
    const LoadedTokenizer t(data);
    EXPECT_EQ(t.Encode("\xE2\x80\x8D"), Tokens({kFirstMerged + 1}));
    EXPECT_EQ(t.Encode("a"), Tokens({kEnd}));
  }
}

// What a damaged file may hold must not hang or crash, nor give a token that is none.
TEST(ByteLevelTest, RandomDamageNeverHurts) {
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  TokenizerData data = Vocabulary({{"a", "b"}, {"ab", "ab"}, {" ", "ab"}, {"b", "b"}});
  data.merges.push_back({'x', 'x', 4'000'000'000u});
  data.merges.push_back({'z', 'z', 2'147'483'647u});
  data.merges.push_back({'y', 'y', 'y'});  // makes no progress but in length
  const std::string whole = SerializeTokenizer(data);
  int created = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string section = whole;
    for (int flips = 0; flips < 3 && round > 0; ++flips)
      section[random() % section.size()] ^= static_cast<char>(1u << (random() % 8));
    const absl::StatusOr<TokenizerView> view = ParseTokenizer(TestBytes(section));
    if (!view.ok()) continue;
    const absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Create(*view);
    if (!tokenizer.ok()) continue;
    ++created;
    Tokens tokens;
    tokenizer->Encode("abab xx yyyy zzz <|end|>\xC3\xA4 a\xFF", {.parse_special = true}, &tokens);
    for (const TokenId token : tokens) {
      ASSERT_TRUE(tokenizer->view().IsValid(token));
      tokenizer->Decode(1, token);
    }
  }
  EXPECT_GT(created, 100);
}

}  // namespace
}  // namespace tvl
