// Files that lie. Each field is given bad values under a header checksum that is right again, so
// that the check behind the checksum is what refuses them, by name.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/tile.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/tvl_reader.h"
#include "tests/support/hostile_file.h"
#include "tests/support/test_model.h"

namespace tvl {
namespace {

using ::testing::HasSubstr;
using testing::HostileFile;
using testing::Plain;
using testing::TempTvl;
using testing::TestModel;
using testing::TestShape;
using testing::WithTokenizer;

constexpr uint64_t kHuge = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kHugeAligned = kHuge - 63;
constexpr uint32_t kHuge32 = std::numeric_limits<uint32_t>::max();

// Entries of the plain file, by position.
enum EntryIndex { kInvFreq = 0, kNorm = 1, kWq = 2, kWk = 3, kW13 = 7 };

TEST(TvlHostileTest, TheFilesThatAreDamagedBelowAreGood) {
  EXPECT_EQ(Plain().Error(), "");
  EXPECT_EQ(Plain().Seal().Error(), "");
  EXPECT_EQ(WithTokenizer().Error(), "");
  EXPECT_EQ(WithTokenizer().Seal().Error(), "");
}

TEST(TvlHostileTest, Magic) {
  for (size_t i = 0; i < 8; ++i) {
    HostileFile f = Plain();
    f.Set(i, static_cast<uint8_t>(f.Get<uint8_t>(i) ^ 1)).Seal();
    EXPECT_THAT(f.Error(), HasSubstr("magic")) << i;
  }
}

template <typename T>
struct Damage {
  size_t offset;
  T value;
  const char* message;  // part of the error; "" if the file is still good
};

template <typename T>
void ExpectErrors(const HostileFile& good, size_t base, const std::vector<Damage<T>>& damages) {
  for (const Damage<T>& d : damages) {
    HostileFile f = good;
    f.Set(base + d.offset, d.value).Seal();
    if (*d.message == 0) {
      EXPECT_EQ(f.Error(), "") << d.offset;
    } else {
      EXPECT_THAT(f.Error(), HasSubstr(d.message)) << d.offset << " = " << d.value;
    }
  }
}

TEST(TvlHostileTest, HeaderFields) {
  const HostileFile good = Plain();
  ExpectErrors<uint16_t>(good, 0,
                         {{8, 2, "major version: expected 1, found 2; a newer tvl"},
                          {8, 0, "major version: expected 1, found 0"},
                          {8, 0xffff, "major version"},
                          {10, 1, ""},
                          {10, 0xffff, ""}});
  ExpectErrors<uint32_t>(good, 0,
                         {{12, 4096, "alignment: expected 65536, found 4096"},
                          {12, 0, "alignment"},
                          {48, 0, "tensor rope.inv_freq: it is missing"},
                          {48, good.EntryCount() - 1, "tensor token_embedding: it is missing"},
                          {48, good.EntryCount() + 1, "directory entry 19, field name"},
                          {48, kHuge32, "directory_offset: the section of"},
                          {52, 1, "reserved header field: expected 0, found 1"}});
  ExpectErrors<uint64_t>(good, 0,
                         {{16, good.size() + 1, "file size"},
                          {16, good.size() - 1, "file size"},
                          {16, 0, "file size"},
                          {16, kHuge, "file size"},
                          {24, 0, "directory_offset: expected a section"},
                          {24, 193, "directory_offset: expected a multiple of 64, found 193"},
                          {24, 256, "directory entry"},
                          {24, RoundUp(good.size(), 64), "directory_offset: the section of"},
                          {24, kHugeAligned, "directory_offset: the section of"},
                          {32, 0, "config_offset: expected a section"},
                          {32, 65, "config_offset: expected a multiple of 64, found 65"},
                          {32, kHugeAligned, "config_offset: the section of"},
                          {32, RoundUp(good.size(), 64), "config_offset: the section of"},
                          {40, 1, "tokenizer_offset: expected a multiple of 64, found 1"},
                          {40, kHugeAligned, "tokenizer_offset: the section of"}});
  HostileFile unsealed = good;
  unsealed.Set(56, good.Get<uint64_t>(56) ^ 1);
  EXPECT_THAT(unsealed.Error(), HasSubstr("header checksum: expected"));
}

TEST(TvlHostileTest, ConfigFields) {
  const HostileFile good = Plain();
  ExpectErrors<uint32_t>(
      good, good.Config(),
      {{4, 0, "config field architecture"},
       {4, 2, "config field sliding_window: expected 1 to 16777216, found 0"},
       {4, 3, "tensor layers.0.bq: it is missing"},
       {4, 4, "tensor layers.0.q_norm: it is missing"},
       {4, 6, "config field architecture"},
       {8, 0, "config field dim"},
       {8, kHuge32, "config field dim"},
       {8, 37, "tensor token_embedding: expected the shape (67, 37) by the config, found (67, 36)"},
       {12, 0, "config field hidden_dim"},
       {12, kHuge32, "config field hidden_dim"},
       {12, 51, "tensor layers.0.w13: expected the shape (51, 36)"},
       {16, 0, "config field n_layers"},
       {16, 3, "tensor layers.2.attention_norm: it is missing"},
       {16, 1024, "tensor layers.2.attention_norm: it is missing"},
       {16, kHuge32, "config field n_layers"},
       {20, 0, "config field n_heads"},
       {20, kHuge32, "config field n_heads"},
       {20, 8, "tensor layers.0.wq: expected the shape (48, 36)"},
       {24, 0, "config field n_kv_heads"},
       {24, 4, "config field n_kv_heads: expected a divisor"},
       {24, 3, "tensor layers.0.wk: expected the shape (18, 36)"},
       {28, 0, "config field head_dim"},
       {28, kHuge32, "config field head_dim"},
       {28, 8, "tensor layers.0.wq: expected the shape (48, 36)"},
       {32, 0, "config field vocab_size"},
       {32, kHuge32, "config field vocab_size"},
       {32, 68, "tensor token_embedding: expected the shape (68, 36)"},
       {36, 0, "config field context_length"},
       {36, kHuge32, "config field context_length"},
       {36, 12345, ""},
       {40, 2, "config field flags"},
       {40, 0x80000001, "config field flags"},
       {40, 0, "tensor classifier: it is missing"},
       {52, 0, "config field activation"},
       {52, 2, "config field activation"},
       {56, 2, "config field rope_kind"},
       {60, 2, "config field rope_scaling"},
       {64, 0, "config field rope_dims"},
       {64, 5, "config field rope_dims"},
       {64, 8, "config field rope_dims"},
       {64, 4, "tensor rope.inv_freq: expected the shape (1, 2)"},
       {72, 1, "config field sliding_window: expected 0, found 1"}});
  const float nan = std::numeric_limits<float>::quiet_NaN();
  ExpectErrors<float>(good, good.Config(),
                      {{44, 0, "config field norm_epsilon"},
                       {44, nan, "config field norm_epsilon"},
                       {48, -1, "config field attention_scale"},
                       {48, nan, "config field attention_scale"},
                       {68, 0, "config field rope_base"},
                       {76, 30, "config field attention_soft_cap"},
                       {76, nan, "config field attention_soft_cap"},
                       {80, 30, "config field logit_soft_cap"}});
}

TEST(TvlHostileTest, ConfigSize) {
  const HostileFile good = Plain();
  ASSERT_EQ(good.Config(), 64u);
  ASSERT_EQ(good.Entry(0), 192u);
  ExpectErrors<uint32_t>(good, good.Config(),
                         {{0, 0, "config_bytes: expected"},
                          {0, 3, "config_bytes: expected"},
                          {0, 85, "config_bytes: expected"},
                          {0, kHuge32 - 3, "config_bytes: expected"},
                          {0, 4, "config field architecture: expected one of 1 (llama)"},
                          {0, 44, "config field norm_epsilon"},
                          {0, 80, ""},  // a field that is absent is zero
                          {0, 72, ""},
                          {0, 88, ""},   // a longer section whose tail is zero
                          {0, 128, ""},  // up to the directory
                          {0, 132, "config byte 128: expected 0"}});
  // A field that this version does not know.
  for (const size_t byte : {84, 100, 127}) {
    HostileFile f = good;
    f.Set(good.Config(), uint32_t{128}).Set(good.Config() + byte, uint8_t{1}).Seal();
    EXPECT_THAT(f.Error(), HasSubstr(absl::StrCat("config byte ", byte, ": expected 0")));
  }
}

TEST(TvlHostileTest, DirectoryFields) {
  const HostileFile good = Plain();
  const size_t wq = good.Entry(kWq), norm = good.Entry(kNorm), w13 = good.Entry(kW13);
  ExpectErrors<uint8_t>(good, wq,
                        {{0, 0, "directory entry 2, field name"},
                         {0, ' ', "directory entry 2, field name"},
                         {3, 0x80, "directory entry 2, field name"},
                         {63, 'x', "directory entry 2, field name"},
                         {20, 'x', "directory entry 2, field name"},
                         {9, 'z', "tensor layers.0.wq: it is missing"}});
  ExpectErrors<uint32_t>(
      good, wq,
      {{64, 0, "tensor layers.0.wq, field type: expected 1 to 9 or 64, found 0"},
       {64, 10, "tensor layers.0.wq, field type: expected 1 to 9 or 64, found 10 (q2k), which"},
       {64, 13, "tensor layers.0.wq, field type: expected 1 to 9 or 64, found 13 (mxfp4), which"},
       {64, 14, "tensor layers.0.wq, field type: expected 1 to 9 or 64, found 14, which"},
       {64, kHuge32, "tensor layers.0.wq, field type: expected 1 to 9 or 64, found 4294967295"},
       {64, 2, "tensor layers.0.wq, field bytes: expected"},
       {64, 64, "tensor layers.0.wq, field rows: expected 1"},
       {68, 4, "tensor layers.0.wq, field flags: expected 0 to 3, found 4"},
       {68, 0x80000001, "tensor layers.0.wq, field flags"},
       {68, 3, "tensor layers.0.wq, field bytes: expected"},
       {68, 0, ""}});  // whether it is required matters for unknown types only
  ExpectErrors<uint64_t>(
      good, wq,
      {{72, 0, "tensor layers.0.wq, field rows"},
       {72, kHuge, "tensor layers.0.wq, field rows"},
       {72, 35, "tensor layers.0.wq: expected the shape (36, 36)"},
       {72, 49, "tensor layers.0.wq, field bytes: expected"},
       {80, 0, "tensor layers.0.wq, field cols"},
       {80, kHuge, "tensor layers.0.wq, field cols"},
       {80, 33, "tensor layers.0.wq: expected the shape (36, 36)"},
       {80, 37, "tensor layers.0.wq, field bytes: expected"},
       {88, good.Get<uint64_t>(wq + 88) + 4,
        "tensor layers.0.wq, field offset: expected a multiple"},
       {88, kHugeAligned, "tensor layers.0.wq, field bytes"},
       {88, RoundUp(good.size(), 64), "tensor layers.0.wq, field bytes"},
       {88, 0, "overlaps the header"},
       {88, 64, "overlaps the config section"},
       {88, good.Get<uint64_t>(wq + 88) + 64, "overlaps layers.0.wq"},
       {88, good.Get<uint64_t>(wq + 88) - 64, "overlaps layers.0.attention_norm"},
       {96, 0, "tensor layers.0.wq, field bytes: expected"},
       {96, good.Get<uint64_t>(wq + 96) + 64, "tensor layers.0.wq, field bytes: expected"},
       {96, kHuge, "tensor layers.0.wq, field bytes"},
       {112, 1, "tensor layers.0.wq, field reserved"},
       {120, 1, "tensor layers.0.wq, field reserved"}});
  ExpectErrors<uint32_t>(
      good, norm,
      {{64, 1, "tensor layers.0.attention_norm, field bytes: expected"},
       {68, 3, "tensor layers.0.attention_norm, field flags: expected no pair"}});
  ExpectErrors<uint64_t>(good, norm,
                         {{72, 2, "tensor layers.0.attention_norm, field rows"},
                          {80, 35, "tensor layers.0.attention_norm: expected the shape (1, 36)"}});
  ExpectErrors<uint32_t>(good, w13, {{68, 1, "tensor layers.0.w13, field bytes: expected"}});
}

TEST(TvlHostileTest, TypesThatTheTensorCannotHave) {
  // Of sizes that agree with themselves, and moved to where the plain file has nothing.
  const HostileFile good = Plain();
  const auto error = [&](size_t index, uint32_t type, uint32_t flags, uint64_t bytes) {
    HostileFile f = good;
    const size_t entry = f.Entry(index);
    f.Set(entry + 64, type).Set(entry + 68, flags).Set(entry + 88, uint64_t{32768});
    return f.Set(entry + 96, bytes).Seal().Error();
  };
  EXPECT_THAT(error(kWq, 1, 3, 8 * 36 * 64),
              HasSubstr("tensor layers.0.wq: expected one matrix of tiles, found f32 interleaved"));
  EXPECT_THAT(
      error(kW13, 1, 1, 4 * 36 * 64),
      HasSubstr("tensor layers.0.w13: expected an interleaved pair of tiles, found one f32"));
  EXPECT_THAT(error(kNorm, 1, 1, 36 * 64),
              HasSubstr("tensor layers.0.attention_norm: expected the type vector, found f32"));
  EXPECT_THAT(error(kInvFreq, 4, 1, 17 * 64),
              HasSubstr("tensor rope.inv_freq: expected the type vector, found q8"));
}

TEST(TvlHostileTest, TwoTensorsOfOneName) {
  HostileFile f = Plain();
  char name[64];
  std::memcpy(name, f.bytes().data() + f.Entry(kWq), 64);
  for (size_t i = 0; i < 64; ++i) f.Set(f.Entry(kWk) + i, name[i]);
  EXPECT_THAT(f.Seal().Error(), HasSubstr("tensor layers.0.wq: the name occurs twice"));
}

// A further entry `name` of a type that is not known, behind the directory, where the plain file
// has zeros. Its shape means nothing to this version.
HostileFile WithUnknownEntry(char name, uint32_t type, uint32_t flags, uint64_t offset,
                             uint64_t bytes) {
  HostileFile f = Plain();
  const size_t entry = f.Entry(f.EntryCount());
  f.Set(48, f.EntryCount() + 1).Set(entry, name).Set(entry + 64, type).Set(entry + 68, flags);
  f.Set(entry + 72, kHuge).Set(entry + 80, kHuge).Set(entry + 112, kHuge);
  return f.Set(entry + 88, offset).Set(entry + 96, bytes).Seal();
}

TEST(TvlHostileTest, UnknownTypesAreIgnoredUnlessRequired) {
  for (const uint32_t type : {10, 65, 1000}) {
    EXPECT_EQ(WithUnknownEntry('x', type, 0, 32768, 64).Error(), "");
    EXPECT_EQ(WithUnknownEntry('x', type, 0, 32768, 0).Error(), "");
    EXPECT_THAT(
        WithUnknownEntry('x', type, 1, 32768, 64).Error(),
        HasSubstr(absl::StrCat("tensor x, field type: expected 1 to 9 or 64, found ", type)));
  }
}

TEST(TvlHostileTest, UnknownTypesHaveNamesAndExtentsAsOthers) {
  const auto error = [](uint64_t offset, uint64_t bytes) {
    return WithUnknownEntry('x', 1000, 0, offset, bytes).Error();
  };
  EXPECT_THAT(error(32769, 64), HasSubstr("tensor x, field offset: expected a multiple of 64"));
  EXPECT_THAT(error(kHugeAligned, 64), HasSubstr("tensor x, field bytes: 64 bytes at offset"));
  EXPECT_THAT(error(32768, kHuge), HasSubstr("tensor x, field bytes: "));
  EXPECT_THAT(error(192, 64), HasSubstr("overlaps"));  // the directory
  EXPECT_THAT(error(32768, 40000), HasSubstr("rope.inv_freq at 65536 overlaps x"));
  EXPECT_THAT(error(65600, 1), HasSubstr("x at 65600 overlaps"));
  HostileFile twice = WithUnknownEntry('x', 1000, 0, 32768, 64);
  const size_t entry = twice.Entry(kWq);
  for (size_t i = 0; i < 64; ++i) twice.Set(entry + i, i == 0 ? 'x' : '\0');
  EXPECT_THAT(twice.Seal().Error(), HasSubstr("tensor x: the name occurs twice"));
}

TEST(TvlHostileTest, BytesThatNothingClaimsAreZero) {
  const auto verify = [](const HostileFile& f) {
    const absl::StatusOr<TvlReader> reader = TvlReader::Parse(f.bytes(), "hostile.tvl");
    EXPECT_TRUE(reader.ok()) << reader.status();
    return reader->VerifyGaps();
  };
  EXPECT_EQ(verify(Plain()), absl::OkStatus());
  HostileFile f = Plain();
  f.Set(40000, uint8_t{7});
  EXPECT_EQ(verify(f).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(verify(f).message(),
            "hostile.tvl: byte 40000: expected 0, since no section or tensor claims it, found 7");
  // An entry that is ignored claims its bytes all the same.
  HostileFile claimed = WithUnknownEntry('x', 1000, 0, 39936, 128);
  EXPECT_EQ(verify(claimed.Set(40000, uint8_t{7})), absl::OkStatus());
  // Between the config section (84 bytes) and the directory, and after the last tensor.
  EXPECT_NE(verify(HostileFile(Plain().Set(64 + 84, uint8_t{1}))), absl::OkStatus());
  const HostileFile plain = Plain();
  std::vector<std::byte> longer(plain.bytes().begin(), plain.bytes().end());
  longer.resize(longer.size() + 64);
  HostileFile tail((std::span<const std::byte>(longer)));
  tail.Set(16, uint64_t{longer.size()}).Seal();
  EXPECT_EQ(verify(tail), absl::OkStatus());
  EXPECT_NE(verify(tail.Set(longer.size() - 1, uint8_t{1})), absl::OkStatus());
}

TEST(TvlHostileTest, TensorsThatTheModelDoesNotNeedAreAccepted) {
  HostileFile f = Plain();
  const size_t entry = f.Entry(f.EntryCount());
  f.Set(48, f.EntryCount() + 1).Set(entry, 'x').Set(entry + 64, uint32_t{64});
  f.Set(entry + 72, uint64_t{1}).Set(entry + 80, uint64_t{3}).Set(entry + 96, uint64_t{64});
  f.Set(entry + 88, uint64_t{32768}).Seal();
  EXPECT_EQ(f.Error(), "");
  f.Set(entry + 88, uint64_t{192}).Seal();
  EXPECT_THAT(f.Error(), HasSubstr("overlaps"));
}

TEST(TvlHostileTest, RopeFrequenciesOutOfRange) {
  for (const float bad : {33.0f, -33.0f, std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    HostileFile f = Plain();
    f.Set(f.Get<uint64_t>(f.Entry(kInvFreq) + 88) + 4, bad);
    EXPECT_THAT(f.Error(), HasSubstr("tensor rope.inv_freq: number 1: expected 0 to 32, found "));
  }
}

TEST(TvlHostileTest, TokenizerSection) {
  const HostileFile good = WithTokenizer();
  const uint64_t offset = good.Get<uint64_t>(40);
  HostileFile other_size = good;
  other_size.Set(offset + 32, uint32_t{66});
  EXPECT_NE(other_size.Error(), "");
  HostileFile config = good;
  config.Set(config.Config() + 32, uint32_t{66}).Seal();
  EXPECT_THAT(config.Error(), HasSubstr("tokenizer vocabulary size: expected 66, found 67"));
  for (const uint64_t elsewhere :
       {uint64_t{64}, uint64_t{192}, uint64_t{65536}, RoundUp(good.size(), 64) - 64}) {
    HostileFile f = good;
    f.Set(40, elsewhere).Seal();
    EXPECT_NE(f.Error(), "") << elsewhere;
  }
  // A whole section, but on top of a tensor.
  HostileFile moved = good;
  const uint64_t bytes = good.Get<uint64_t>(offset);
  const uint64_t target = good.Get<uint64_t>(good.Entry(kWq) + 88);
  for (uint64_t i = 0; i < bytes; ++i) moved.Set(target + i, good.Get<uint8_t>(offset + i));
  EXPECT_THAT(moved.Set(40, target).Seal().Error(), HasSubstr("overlaps"));
}

}  // namespace
}  // namespace tvl
