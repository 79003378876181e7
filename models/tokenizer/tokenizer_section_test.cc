#include "models/tokenizer/tokenizer_section.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/token.h"
#include "gtest/gtest.h"
#include "models/tokenizer/llama2c_reference.h"
#include "models/tokenizer/tokenizer.h"
#include "xxhash.h"

namespace tvl {
namespace {

constexpr uint32_t kSeed = 20260103;

// Every table filled, of another kind than 1.
TokenizerData FullData() {
  TokenizerData data;
  data.kind = TokenizerKind::kByteLevelBpe;
  data.flags = kTokenizerAddBos | kTokenizerWholePieceFirst;
  data.pre_tokenizer = 7;
  data.bos_id = 0;
  data.eos_id = 5;
  data.pad_id = 5;
  data.pieces = {"<s>", "a", "b", "ab", "", "</s>", "ab", "abb"};
  data.scores = {0.0f, -1.0f, -2.5f, -3.0f, 1e30f, -1e-30f, 7.0f, 8.0f};
  data.piece_types = {PieceType::kControl, PieceType::kNormal,     PieceType::kNormal,
                      PieceType::kNormal,  PieceType::kUnused,     PieceType::kControl,
                      PieceType::kNormal,  PieceType::kUserDefined};
  data.merges = {{1, 2, 3}, {3, 2, 7}, {1, 2, 6}};
  data.added_tokens = {{0, kAddedTokenSpecial}, {7, kAddedTokenStripLeft | kAddedTokenSingleWord}};
  data.end_tokens = {5};
  data.chat_template = "{{ messages[0].content }}";
  data.pre_tokenizer_pattern = "\\s+";
  data.normalizer_map = std::string("\0\1\2", 3);
  return data;
}

TokenizerData SmallLlama2c() {
  TokenizerData data;
  data.flags = kTokenizerDummyPrefix | kTokenizerAddBos;
  data.unk_id = 0;
  data.bos_id = 1;
  data.eos_id = 2;
  data.end_tokens = {1, 2};
  data.pieces = {"<unk>", "\n<s>\n", "\n</s>\n", " ", "a", "b", "ab", " a", "<0x41>"};
  data.scores = {0, 0, 0, -1, -2, -3, -4, -5, -6};
  return data;
}

std::string ParseError(std::string_view section) {
  return absl::StrCat(ParseTokenizer(TestBytes(section)).status().message());
}

// Uses everything a view offers; the sanitizers judge.
void Exercise(const TokenizerView& view) {
  uint64_t sum = 0;
  for (size_t i = 0; i < view.vocab_size(); ++i) {
    const TokenId id = static_cast<TokenId>(i);
    for (const char c : view.piece(id)) sum += static_cast<unsigned char>(c);
    sum += static_cast<uint64_t>(view.FindPiece(view.piece(id)));
    if (view.has_scores()) sum += view.score(id) > 0;
    if (view.has_piece_types()) sum += static_cast<uint64_t>(view.piece_type(id));
  }
  for (size_t i = 0; i < view.merge_count(); ++i) sum += view.merge(i).result;
  sum += static_cast<uint64_t>(view.FindMerge(1, 2)) + static_cast<uint64_t>(view.FindMerge(-1, 9));
  sum += static_cast<uint64_t>(view.FindPiece("not there"));
  for (size_t i = 0; i < view.added_token_count(); ++i) sum += view.added_token(i).id;
  for (const std::string_view text :
       {view.chat_template(), view.pre_tokenizer_pattern(), view.normalizer_map()}) {
    for (const char c : text) sum += static_cast<unsigned char>(c);
  }
  const absl::StatusOr<Tokenizer> tokenizer = Tokenizer::Create(view);
  if (tokenizer.ok()) {
    std::vector<TokenId> tokens;
    tokenizer->Encode("abab ba a\xC3\xA9 \x80 bbb", {.bos = true, .eos = true}, &tokens);
    for (const TokenId token : tokens) sum += tokenizer->Decode(1, token).size();
    for (TokenId id = -1; id <= static_cast<TokenId>(view.vocab_size()); ++id) {
      sum += tokenizer->Decode(1, id).size() + tokenizer->IsEnd(id);
    }
  }
  static volatile uint64_t sink;
  sink = sum;
  (void)sink;
}

// Parses a copy of exactly this size, so that the sanitizer sees any byte read beyond it.
void ParseAndExercise(std::string_view section) {
  const std::vector<char> exact(section.begin(), section.end());
  const absl::StatusOr<TokenizerView> view =
      ParseTokenizer(std::as_bytes(std::span<const char>(exact)));
  if (view.ok()) {
    Exercise(*view);
    (void)VerifyTokenizerChecksum(*view).ok();
  } else {
    EXPECT_EQ(view.status().message().substr(0, 19), "tokenizer section: ");
  }
}

TEST(TokenizerSectionTest, RoundTrip) {
  const TokenizerData data = FullData();
  const std::string section = SerializeTokenizer(data);
  EXPECT_EQ(section.size() % 64, 0u);
  // Bytes beyond the section, as in a file, are no part of it.
  const std::string file = section + std::string(100, 'x');
  const absl::StatusOr<TokenizerView> view = ParseTokenizer(TestBytes(file));
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->section_bytes(), section.size());
  EXPECT_TRUE(VerifyTokenizerChecksum(*view).ok());
  EXPECT_EQ(view->kind(), data.kind);
  EXPECT_EQ(view->flags(), data.flags);
  EXPECT_EQ(view->pre_tokenizer(), 7u);
  EXPECT_EQ(view->bos_id(), 0);
  EXPECT_EQ(view->eos_id(), 5);
  EXPECT_EQ(view->unk_id(), -1);
  EXPECT_EQ(view->pad_id(), 5);
  EXPECT_EQ(view->max_piece_bytes(), 4u);
  ASSERT_EQ(view->vocab_size(), data.pieces.size());
  for (size_t i = 0; i < data.pieces.size(); ++i) {
    const TokenId id = static_cast<TokenId>(i);
    EXPECT_EQ(view->piece(id), data.pieces[i]);
    EXPECT_EQ(view->score(id), data.scores[i]);
    EXPECT_EQ(view->piece_type(id), data.piece_types[i]);
    EXPECT_EQ(view->FindPiece(data.pieces[i]), i == 6 ? 3 : id) << "the lowest of duplicates";
  }
  EXPECT_EQ(view->FindPiece("abc"), -1);
  EXPECT_EQ(view->FindPiece("longer than the longest"), -1);
  ASSERT_EQ(view->merge_count(), 3u);
  EXPECT_EQ(view->merge(1), data.merges[1]);
  EXPECT_EQ(view->FindMerge(1, 2), 0);
  EXPECT_EQ(view->FindMerge(3, 2), 1);
  EXPECT_EQ(view->FindMerge(2, 1), -1);
  ASSERT_EQ(view->added_token_count(), 2u);
  EXPECT_EQ(view->added_token(1), data.added_tokens[1]);
  ASSERT_EQ(view->end_token_count(), 1u);
  EXPECT_EQ(view->end_token(0), 5);
  EXPECT_EQ(view->chat_template(), data.chat_template);
  EXPECT_EQ(view->pre_tokenizer_pattern(), data.pre_tokenizer_pattern);
  EXPECT_EQ(view->normalizer_map(), data.normalizer_map);
}

TEST(TokenizerSectionTest, AbsentTables) {
  TokenizerData data;
  data.pieces = {"", ""};
  const std::string section = SerializeTokenizer(data);
  const absl::StatusOr<TokenizerView> view = ParseTokenizer(TestBytes(section));
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_FALSE(view->has_scores());
  EXPECT_FALSE(view->has_piece_types());
  EXPECT_EQ(view->merge_count(), 0u);
  EXPECT_EQ(view->FindMerge(0, 0), -1);
  EXPECT_EQ(view->piece(1), "");
  EXPECT_EQ(view->FindPiece(""), 0);
  EXPECT_EQ(view->chat_template(), "");
}

// Files outlive compilers: these bytes must never change within version 1.
TEST(TokenizerSectionTest, GoldenBytes) {
  const std::string full = SerializeTokenizer(FullData());
  EXPECT_EQ(full, SerializeTokenizer(FullData()));
  EXPECT_EQ(full.size(), 576u);
  EXPECT_EQ(XXH3_64bits(full.data(), full.size()), 0x6AF26663A1EE509Eu);
  const std::string small = SerializeTokenizer(SmallLlama2c());
  EXPECT_EQ(XXH3_64bits(small.data(), small.size()), 0x8579311C66EDD53Bu);
}

TEST(TokenizerSectionTest, ChecksumSeesEveryBit) {
  std::string section = SerializeTokenizer(FullData());
  for (size_t i = 16; i < section.size(); ++i) {
    section[i] ^= 0x10;
    const absl::StatusOr<TokenizerView> view = ParseTokenizer(TestBytes(section));
    if (view.ok()) {
      EXPECT_EQ(VerifyTokenizerChecksum(*view).code(), absl::StatusCode::kDataLoss) << i;
    }
    section[i] ^= 0x10;
  }
}

template <typename T>
std::string Patched(std::string section, size_t offset, T value) {
  std::memcpy(section.data() + offset, &value, sizeof(value));
  return section;
}

// Field by field, at the byte offsets of TVL_FORMAT.md.
TEST(TokenizerSectionTest, NamesTheWrongField) {
  const std::string s = SerializeTokenizer(FullData());
  const std::string prefix = "tokenizer section: ";
  const auto table = [](size_t i) { return 64 + 16 * i; };
  const uint64_t huge = std::numeric_limits<uint64_t>::max() - 7;
  EXPECT_EQ(ParseError(s.substr(0, 255)), prefix + "header: expected 256 bytes, found 255 bytes");
  EXPECT_EQ(ParseError(s.substr(0, 512)),
            prefix +
                "section_bytes: expected a multiple of 64 from 256 to the 512 bytes there are, "
                "found 576");
  EXPECT_EQ(ParseError(Patched(s, 0, uint64_t{575})),
            prefix +
                "section_bytes: expected a multiple of 64 from 256 to the 576 bytes there are, "
                "found 575");
  EXPECT_EQ(ParseError(Patched(s, 16, 2u)), prefix + "version: expected 1, found 2");
  EXPECT_EQ(
      ParseError(Patched(s, 20, 192u)),
      prefix + "header_bytes: expected a multiple of 64 from 256 to section_bytes, 576, found 192");
  EXPECT_EQ(ParseError(Patched(s, 24, 0u)),
            prefix + "kind: expected a tokenizer kind, 1 or more, found 0");
  EXPECT_EQ(ParseError(Patched(s, 28, 0x100u)),
            prefix + "flags: expected no bits but 0xff, found 0x100");
  EXPECT_EQ(ParseError(Patched(s, 32, 0u)),
            prefix + "vocab_size: expected 1 to 2147483647, found 0");
  EXPECT_EQ(ParseError(Patched(s, 32, 0x80000000u)),
            prefix + "vocab_size: expected 1 to 2147483647, found 2147483648");
  EXPECT_EQ(ParseError(Patched(s, 32, 9u)),
            prefix + "piece_offsets bytes: expected 40 (vocab_size 9, merges 3), found 36");
  EXPECT_EQ(ParseError(Patched(s, 36, 5u)),
            prefix + "max_piece_bytes: expected 4, the longest piece, found 5");
  EXPECT_EQ(ParseError(Patched(s, 44, 1u)), prefix + "reserved: expected 0, found 1");
  EXPECT_EQ(ParseError(Patched(s, 48, 8)), prefix + "bos_id: expected -1 to 7, found 8");
  EXPECT_EQ(ParseError(Patched(s, 52, -2)), prefix + "eos_id: expected -1 to 7, found -2");
  EXPECT_EQ(ParseError(Patched(s, 56, 99)), prefix + "unk_id: expected -1 to 7, found 99");
  EXPECT_EQ(ParseError(Patched(s, 60, 99)), prefix + "pad_id: expected -1 to 7, found 99");
  EXPECT_EQ(ParseError(Patched(s, table(0), uint64_t{260})),
            prefix + "piece_offsets offset: expected a multiple of 8 from 256 to 576, found 260");
  EXPECT_EQ(ParseError(Patched(s, table(1), uint64_t{256})),
            prefix + "piece_bytes offset: expected a multiple of 8 from 292 to 576, found 256")
      << "overlaps piece_offsets";
  EXPECT_EQ(
      ParseError(Patched(s, table(1), huge)),
      absl::StrCat(prefix, "piece_bytes offset: expected a multiple of 8 from 292 to 576, found ",
                   huge));
  EXPECT_EQ(ParseError(Patched(s, table(0) + 8, huge)),
            absl::StrCat(prefix, "piece_offsets bytes: expected a multiple of 4 up to 320, found ",
                         huge));
  EXPECT_EQ(ParseError(Patched(s, table(2) + 8, uint64_t{28})),
            prefix + "scores bytes: expected 32 or 0 (vocab_size 8, merges 3), found 28");
  EXPECT_EQ(ParseError(Patched(s, table(4) + 8, uint64_t{32})),
            prefix + "piece_index bytes: expected 64 (vocab_size 8, merges 3), found 32");
  EXPECT_EQ(ParseError(Patched(s, table(5) + 8, uint64_t{35})),
            absl::StrCat(prefix, "merges bytes: expected a multiple of 12 up to 160, found 35"));
  EXPECT_EQ(ParseError(Patched(s, table(11) + 8, uint64_t{0})),
            prefix + "normalizer_map offset: expected 0 for an absent table, found 552");
  EXPECT_EQ(ParseError(Patched(s, 256, 1u)),
            prefix + "piece_offsets[0]: expected rising values from 0 to 16 after 0, found 1");
  EXPECT_EQ(ParseError(Patched(s, 256 + 8, 2u)),
            prefix + "piece_offsets[2]: expected rising values from 0 to 16 after 3, found 2")
      << "falls";
}

TEST(TokenizerSectionTest, ChecksListedIds) {
  TokenizerData data = FullData();
  data.end_tokens = {5, 8};
  EXPECT_EQ(ParseError(SerializeTokenizer(data)),
            "tokenizer section: end_tokens[1]: expected an id of 0 to 7, found 8");
  data = FullData();
  data.added_tokens = {{100, 0}};
  EXPECT_EQ(ParseError(SerializeTokenizer(data)),
            "tokenizer section: added_tokens[0]: expected an id of 0 to 7, found 100");
}

TEST(TokenizerSectionTest, EveryTruncationIsAnError) {
  for (const TokenizerData& data : {FullData(), SmallLlama2c()}) {
    const std::string section = SerializeTokenizer(data);
    for (size_t n = 0; n < section.size(); ++n) {
      EXPECT_NE(ParseError(section.substr(0, n)), "") << n;
      // The same, with a section_bytes that admits to it.
      if (n >= 8) ParseAndExercise(Patched(section.substr(0, n), 0, uint64_t{n}));
    }
  }
}

TEST(TokenizerSectionTest, EveryFieldWithHostileValues) {
  for (const TokenizerData& data : {FullData(), SmallLlama2c()}) {
    const std::string section = SerializeTokenizer(data);
    for (size_t at = 0; at < 256; at += 4) {
      uint32_t old;
      std::memcpy(&old, section.data() + at, sizeof(old));
      for (const uint32_t value :
           {0u,          1u,          2u,          3u,          4u,         7u,      8u,
            16u,         64u,         256u,        320u,        1024u,      old + 1, old - 1,
            old + 4,     old - 4,     old + 8,     old - 8,     old * 2,    old / 2, ~old,
            0x7FFFFFFFu, 0x80000000u, 0xFFFFFFC0u, 0xFFFFFFF8u, 0xFFFFFFFFu}) {
        ParseAndExercise(Patched(section, at, value));
      }
    }
    for (size_t at = 0; at < 256; at += 8) {
      for (const uint64_t value : {0x7FFFFFFFFFFFFFC0u, 0x8000000000000000u, 0xFFFFFFFFFFFFFF00u,
                                   0xFFFFFFFFFFFFFFC0u, 0xFFFFFFFFFFFFFFF8u, 0xFFFFFFFFFFFFFFFFu}) {
        ParseAndExercise(Patched(section, at, value));
      }
    }
  }
}

TEST(TokenizerSectionTest, RandomDamageNeverHurts) {
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  const std::string sections[] = {SerializeTokenizer(FullData()),
                                  SerializeTokenizer(SmallLlama2c())};
  for (int round = 0; round < 20000; ++round) {
    std::string section = sections[round % 2];
    const int flips = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < flips; ++i) {
      // Half of the flips beyond the header, where parsing succeeds more often.
      const size_t begin = random() % 2 == 0 ? 0 : 256;
      section[begin + random() % (section.size() - begin)] ^=
          static_cast<char>(1u << (random() % 8));
    }
    ParseAndExercise(section);
  }
}

// An index that lies must not hang, crash or give an id that is not the piece's.
TEST(TokenizerSectionTest, HostileIndex) {
  const std::string section = SerializeTokenizer(SmallLlama2c());
  const size_t descriptor = 64 + size_t{16} * kPieceIndex;
  uint64_t offset, bytes;
  std::memcpy(&offset, section.data() + descriptor, sizeof(offset));
  std::memcpy(&bytes, section.data() + descriptor + 8, sizeof(bytes));
  ASSERT_EQ(bytes, 4 * 32u);
  for (const uint32_t entry :
       {0u, 4u, 8u, 9u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFEu, 0xFFFFFFFFu}) {
    std::string hostile = section;
    for (size_t at = offset; at < offset + bytes; at += 4) hostile = Patched(hostile, at, entry);
    const absl::StatusOr<TokenizerView> view = ParseTokenizer(TestBytes(hostile));
    ASSERT_TRUE(view.ok()) << view.status();
    EXPECT_EQ(view->FindPiece("a"), entry == 4 ? 4 : -1);
    EXPECT_EQ(view->FindPiece("zz"), -1);
    Exercise(*view);
  }
}

TEST(TokenizerSectionTest, HostileScoresKeepTheOrderSane) {
  TokenizerData data = SmallLlama2c();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  data.pieces.insert(data.pieces.end(), {"ba", "aa", "bb", "aab"});
  data.scores = {0, 0, 0, nan, nan, -inf, nan, inf, nan, nan, -inf, inf, nan};
  const std::string section = SerializeTokenizer(data);
  const absl::StatusOr<TokenizerView> view = ParseTokenizer(TestBytes(section));
  ASSERT_TRUE(view.ok()) << view.status();
  Exercise(*view);
}

}  // namespace
}  // namespace tvl
