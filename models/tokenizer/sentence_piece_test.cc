// Tokenizer kind 2. tests/tokenizer compares it with llama.cpp's on a real vocabulary.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "models/tokenizer/llama2c_reference.h"
#include "models/tokenizer/loaded_tokenizer.h"
#include "models/tokenizer/sentence_piece_codec.h"
#include "models/tokenizer/tokenizer.h"
#include "models/tokenizer/tokenizer_section.h"
#include "models/tokenizer/utf8.h"

namespace tvl {
namespace {

constexpr uint32_t kSeed = 20260103;
using Tokens = std::vector<TokenId>;

// <unk>, <s>, </s>, the bytes, then `extra` from 259 on.
TokenizerData Vocabulary(const std::vector<std::pair<std::string, float>>& extra) {
  TokenizerData data = Llama2cVocabulary(extra);
  data.kind = TokenizerKind::kSentencePieceBpe;
  data.pieces[1] = "<s>";
  data.pieces[2] = "</s>";
  data.end_tokens = {2};
  data.piece_types.assign(data.pieces.size(), PieceType::kNormal);
  data.piece_types[0] = PieceType::kUnknown;
  data.piece_types[1] = data.piece_types[2] = PieceType::kControl;
  for (size_t i = 3; i < 259; ++i) data.piece_types[i] = PieceType::kByte;
  return data;
}

void AddUserDefined(TokenizerData* data, const std::string& piece) {
  data->added_tokens.push_back({static_cast<uint32_t>(data->pieces.size()), 0});
  data->pieces.push_back(piece);
  data->scores.push_back(0);
  data->piece_types.push_back(PieceType::kUserDefined);
}

// The shortest correct loops: all pairs are looked at for each merge.
Tokens Reference(const TokenizerData& data, std::string_view text) {
  std::map<std::string, TokenId> ids;
  for (size_t i = data.pieces.size(); i-- > 259;) ids[data.pieces[i]] = static_cast<TokenId>(i);
  std::vector<std::string> symbols;
  const std::string spaced =
      text.empty()
          ? ""
          : absl::StrReplaceAll(absl::StrCat(" ", std::string(text)), {{"\xE2\x96\x81", " "}});
  for (size_t i = 0; i < spaced.size();) {
    const size_t bytes =
        std::max<size_t>(Utf8CharacterBytes(std::string_view(spaced).substr(i)), 1);
    symbols.push_back(spaced.substr(i, bytes));
    i += bytes;
  }
  while (true) {
    size_t best = symbols.size();
    float score = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto id = ids.find(symbols[i] + symbols[i + 1]);
      if (id == ids.end()) continue;
      if (best < symbols.size() && data.scores[static_cast<size_t>(id->second)] <= score) continue;
      best = i;
      score = data.scores[static_cast<size_t>(id->second)];
    }
    if (best == symbols.size()) break;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  Tokens tokens;
  for (const std::string& symbol : symbols) {
    if (const auto id = ids.find(symbol); id != ids.end()) {
      tokens.push_back(id->second);
      continue;
    }
    for (const char c : symbol) tokens.push_back(static_cast<uint8_t>(c) + 3);
  }
  return tokens;
}

TEST(SentencePieceTest, EncodesByHand) {
  const LoadedTokenizer t(Vocabulary(
      {{" ", -5}, {"a", -6}, {"b", -7}, {"ab", -1}, {"bb", -2}, {" ab", -3}, {"\xC3\xA9", -8}}));
  const TokenId space = 259, a = 260, b = 261, bb = 263, space_ab = 264, e_acute = 265;
  EXPECT_EQ(t.Encode(""), Tokens({}));
  EXPECT_EQ(t.Encode("", {.bos = true, .eos = true}), Tokens({1, 2}));
  EXPECT_EQ(t.Encode("a", {.bos = true}), Tokens({1, space, a}));
  EXPECT_EQ(t.Encode("abb"), Tokens({space_ab, b}));
  EXPECT_EQ(t.Encode("bbb"), Tokens({space, bb, b})) << "the leftmost of equals merges first";
  EXPECT_EQ(t.Encode("\xC3\xA9"), Tokens({space, e_acute}));
  EXPECT_EQ(t.Encode("\xC3"), Tokens({space, 0xC3 + 3}));
  EXPECT_EQ(t.Encode("\xF0\x9F"), Tokens({space, 0xF0 + 3, 0x9F + 3})) << "cut short";
  EXPECT_EQ(t.Encode(std::string_view("\0a", 2)), Tokens({space, 0 + 3, a})) << "NUL is a byte";
  EXPECT_EQ(t.Encode("\xE2\x96\x81"
                     "ab"),
            t.Encode(" ab"))
      << "U+2581 is a space";
}

TEST(SentencePieceTest, TextIsNeverWhatOnlyNamesSomething) {
  // Every step of the way to "</s>" and "<0x41>" is a piece.
  const LoadedTokenizer t(Vocabulary({{" ", -9},
                                      {"<", -8},
                                      {"/", -8},
                                      {"s", -8},
                                      {">", -8},
                                      {"</", -1},
                                      {"</s", -1},
                                      {"0", -8},
                                      {"x", -8},
                                      {"4", -8},
                                      {"1", -8},
                                      {"<0", -1},
                                      {"<0x", -1},
                                      {"<0x4", -1},
                                      {"<0x41", -1}}));
  for (const TokenId token : t.Encode("</s><0x41>")) EXPECT_GE(token, 259);
}

TEST(SentencePieceTest, UserDefinedPiecesAreTakenWhole) {
  TokenizerData data = Vocabulary({{" ", -5}, {"a", -6}, {"b", -7}, {"aa", -1}, {"ba", -1}});
  AddUserDefined(&data, "<b>");
  AddUserDefined(&data, "<b>a");
  AddUserDefined(&data, "  ");
  const LoadedTokenizer t(data);
  const TokenId space = 259, a = 260, b = 261, aa = 262, tag = 264, longer = 265, spaces = 266;
  EXPECT_EQ(t.Encode("aa<b>b"), Tokens({space, aa, tag, space, b})) << "as llama.cpp has it";
  EXPECT_EQ(t.Encode("<b>b", {.continues = true}), Tokens({tag, space, b}));
  EXPECT_EQ(t.Encode("b<b>", {.continues = true}), Tokens({b, tag}));
  EXPECT_EQ(t.Encode("b<b>aa"), Tokens({space, b, longer, space, a})) << "the longest counts";
  EXPECT_EQ(t.Encode("<b><b>"), Tokens({tag, tag}));
  EXPECT_EQ(t.Encode(" a"), Tokens({space, space, a})) << "not with the prefix, which is no text";
  EXPECT_EQ(t.Encode("  a"), Tokens({spaces, space, a}));
  EXPECT_EQ(t->Decode(5, tag), "<b>");
}

TEST(SentencePieceTest, ControlTokensWhereAskedFor) {
  TokenizerData data = Vocabulary({{" ", -5}, {"a", -6}, {"aa", -1}});
  AddUserDefined(&data, "<b>");
  const LoadedTokenizer t(data);
  const TokenId space = 259, a = 260, aa = 261, tag = 262;
  const EncodeOptions special = {.parse_special = true};
  EXPECT_EQ(t.Encode("</s>", special), Tokens({2}));
  EXPECT_EQ(t.Encode("<s>a</s>aa<unk><b>", special), Tokens({1, space, a, 2, space, aa, 0, tag}));
  EXPECT_EQ(t.Encode("<s>a", {.bos = true, .eos = true, .parse_special = true}),
            Tokens({1, 1, space, a, 2}));
  EXPECT_EQ(t.Encode("a<s", {.continues = true, .parse_special = true}),
            Tokens({a, '<' + 3, 's' + 3}));
  EXPECT_EQ(t.Encode("", special), Tokens({}));
  EXPECT_EQ(t.Encode("<0x41>", special).size(), 7u) << "a byte's name is text";
}

TEST(SentencePieceTest, WithoutPrefixAndWithoutBytes) {
  TokenizerData data = Vocabulary({{" ", -5}, {"a", -6}});
  data.flags = 0;
  const LoadedTokenizer t(data);
  EXPECT_EQ(t.Encode("a"), Tokens({260}));
  EXPECT_EQ(t.Encode("xa"), Tokens({0, 260})) << "unknown";
  EXPECT_EQ(t->Decode(1, 259), " ") << "no dummy prefix that could be dropped";
  data.unk_id = -1;
  EXPECT_EQ(LoadedTokenizer(data).Encode("xa"), Tokens({260}));
}

TEST(SentencePieceTest, ControlTokensAreNotTheUnknownOne) {
  TokenizerData data = Vocabulary({{" ", -5}, {"a", -6}});
  data.flags = 0;
  data.unk_id = 2;
  EXPECT_EQ(LoadedTokenizer(data).Encode("xa"), Tokens({260}));
  data.unk_id = 259;
  EXPECT_EQ(LoadedTokenizer(data).Encode("xa"), Tokens({259, 260})) << "a normal one";
}

// A byte that begins no character takes no other with it.
TEST(SentencePieceTest, BytesThatAreNoCharacters) {
  const LoadedTokenizer t(Vocabulary({{" ", -5}, {"a", -6}, {" a", -1}, {"\xC3\xA9", -8}}));
  const TokenId space = 259, a = 260, space_a = 261, e_acute = 262;
  const auto byte = [](int b) { return b + 3; };
  EXPECT_EQ(t.Encode("\xE9 a"), Tokens({space, byte(0xE9), space_a}));
  EXPECT_EQ(t.Encode("\xC3\xC3\xA9"), Tokens({space, byte(0xC3), e_acute}));
  EXPECT_EQ(t.Encode("\xE2\x82"
                     "a"),
            Tokens({space, byte(0xE2), byte(0x82), a}))
      << "cut short";
  EXPECT_EQ(t.Encode("\xC1\xA1 a"), Tokens({space, byte(0xC1), byte(0xA1), space_a}))
      << "longer than needed";
  EXPECT_EQ(t.Encode("\xED\xA0\x80 a"),
            Tokens({space, byte(0xED), byte(0xA0), byte(0x80), space_a}))
      << "a surrogate";
  EXPECT_EQ(t.Encode("\xF4\x90\x80\x80 a"),
            Tokens({space, byte(0xF4), byte(0x90), byte(0x80), byte(0x80), space_a}))
      << "beyond U+10FFFF";
  EXPECT_EQ(t.Encode("\xF0\x9F\x98"), Tokens({space, byte(0xF0), byte(0x9F), byte(0x98)}))
      << "at the end";
  EXPECT_EQ(t.Encode("\xFF a\x80"), Tokens({space, byte(0xFF), space_a, byte(0x80)}));
}

// Of equal pieces text becomes the one that is text, wherever the others stand.
TEST(SentencePieceTest, NothingHidesWhatTextBecomes) {
  for (const PieceType type : {PieceType::kControl, PieceType::kUnknown, PieceType::kUserDefined}) {
    TokenizerData data = Vocabulary({{"a", -6}, {"a", -6}, {" a", -1}, {" a", -1}, {" ", -5}});
    data.piece_types[259] = data.piece_types[261] = type;
    const LoadedTokenizer t(data);
    EXPECT_EQ(t.Encode("a a"), Tokens({262, 262}));
    EXPECT_EQ(t.Encode("aa"), Tokens({262, 260}));
  }
}

TEST(SentencePieceTest, Decodes) {
  const LoadedTokenizer t(Vocabulary({{" ", 0}, {" a", 0}, {"a", 0}}));
  for (int b = 0; b < 256; ++b) {
    EXPECT_EQ(t->Decode(5, b + 3), std::string(1, static_cast<char>(b)));
  }
  EXPECT_EQ(t->Decode(5, 0), " \xE2\x81\x87 ");
  EXPECT_EQ(t->Decode(5, 1), "");
  EXPECT_EQ(t->Decode(5, 260), " a");
  EXPECT_EQ(t->Decode(1, 260), "a") << "the dummy prefix";
  EXPECT_EQ(t->Decode(-1, 260), " a");
  EXPECT_EQ(t->Decode(5, 262), "") << "outside the vocabulary";
  EXPECT_EQ(t->Decode(5, -1), "");
}

TEST(SentencePieceTest, EqualsTheReferenceOnRandomVocabularies) {
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  const std::vector<std::vector<std::string>> alphabets = {
      {"a", "b"},
      {"a", " ", "c", "\n"},
      {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\xA6\x99", "x", " "},
      {"\x80", "\xBF", "\xC3", "\xF0", "\xFF", "a"},
  };
  for (int round = 0; round < 100; ++round) {
    const std::vector<std::string>& alphabet = alphabets[static_cast<size_t>(round) % 4];
    const TokenizerData llama2c =
        RandomVocabulary(random, alphabet, 4 << (round % 5), 1 + round % 6);
    std::vector<std::pair<std::string, float>> extra;
    for (size_t i = 259; i < llama2c.pieces.size(); ++i)
      extra.emplace_back(llama2c.pieces[i], llama2c.scores[i]);
    const TokenizerData data = Vocabulary(extra);
    const LoadedTokenizer t(data);
    for (int i = 0; i < 60; ++i) {
      const std::string texts[] = {RandomText(random, alphabet, 50), RandomBytes(random, 40),
                                   RandomCharacter(random) + RandomCharacter(random)};
      for (const std::string& text : texts) {
        ASSERT_EQ(t.Encode(text), Reference(data, text)) << testing::PrintToString(text);
      }
    }
  }
}

TEST(SentencePieceTest, OneMegabyteOfOneCharacterIsNotQuadratic) {
  std::vector<std::pair<std::string, float>> growing = {{" ", -1}};
  for (int n = 1; n <= 300; ++n) growing.emplace_back(std::string(static_cast<size_t>(n), 'a'), n);
  const LoadedTokenizer t(Vocabulary(growing));
  const auto begin = std::chrono::steady_clock::now();
  const Tokens tokens = t.Encode(std::string(1 << 20, 'a'));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::printf("%zu tokens in %.3f s\n", tokens.size(), seconds.count());
  EXPECT_LT(seconds.count(), 30.0);
}

std::string CreateError(const TokenizerData& data) {
  const std::string section = SerializeTokenizer(data);
  return absl::StrCat(Tokenizer::Create(*ParseTokenizer(TestBytes(section))).status().message());
}

// The other bytes have theirs all the same.
TEST(SentencePieceTest, BytesWithoutPiecesGiveNone) {
  TokenizerData data = Vocabulary({{"a", 0}});
  data.pieces[3 + 'q'] = "no byte";
  data.piece_types[3 + 'q'] = PieceType::kNormal;
  const LoadedTokenizer tokenizer(data);
  EXPECT_EQ(tokenizer.Encode("zqa", {.continues = true}), (std::vector<TokenId>{3 + 'z', 259}));
  EXPECT_EQ(tokenizer.Encode("q", {.continues = true}), std::vector<TokenId>());
}

TEST(SentencePieceTest, RefusesWhatLacksSomething) {
  const TokenizerData good = Vocabulary({{"a", 0}});
  EXPECT_EQ(CreateError(good), "");
  TokenizerData data = good;
  data.scores.clear();
  EXPECT_EQ(CreateError(data),
            "tokenizer section: scores: expected one per piece for a tokenizer of kind 2, found "
            "none");
  data = good;
  data.piece_types.clear();
  EXPECT_EQ(CreateError(data),
            "tokenizer section: piece_types: expected one per piece for a tokenizer of kind 2, "
            "found none");
  data = good;
  data.piece_types[3] = PieceType::kNormal;
  EXPECT_EQ(CreateError(data),
            "tokenizer section: pieces: expected <0x00> of type byte for byte fallback in a "
            "tokenizer of kind 2, found one of another type");
  data = good;
  data.flags |= kTokenizerEscapeSpace;
  EXPECT_EQ(CreateError(data),
            "tokenizer section: flags: expected no bits but 15 for a tokenizer of kind 2, found "
            "23");
}

// What a damaged file may hold must not hang or crash.
TEST(SentencePieceTest, RandomDamageNeverHurts) {
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  TokenizerData data = Vocabulary({{" ", -5}, {"a", -6}, {"b", -7}, {"ab", -1}});
  AddUserDefined(&data, "<b>");
  const std::string whole = SerializeTokenizer(data);
  int created = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string section = whole;
    for (int flips = 0; flips < 3; ++flips)
      section[random() % section.size()] ^= static_cast<char>(1u << (random() % 8));
    const absl::StatusOr<TokenizerView> view = ParseTokenizer(TestBytes(section));
    if (!view.ok()) continue;
    const absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Create(*view);
    if (!tokenizer.ok()) continue;
    ++created;
    Tokens tokens;
    tokenizer->Encode("abab <b>\xC3\xA4 a", {.bos = true, .eos = true}, &tokens);
    for (const TokenId token : tokens) tokenizer->Decode(1, token);
  }
  EXPECT_GT(created, 100);
}

}  // namespace
}  // namespace tvl
