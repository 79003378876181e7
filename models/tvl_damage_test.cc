// Truncated, grown and damaged files: always an error or a model that is safe to use, never a
// crash.
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/model_view.h"
#include "core/tensor_view.h"
#include "core/tile.h"
#include "core/token.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/tvl_format.h"
#include "models/tvl_reader.h"
#include "tests/support/hostile_file.h"

namespace tvl {
namespace {

using ::testing::HasSubstr;
using testing::HostileFile;
using testing::Plain;
using testing::WithTokenizer;

TEST(TvlDamageTest, VerifyNamesTheDamagedTensor) {
  HostileFile f = WithTokenizer();
  const absl::StatusOr<TvlReader> reader = TvlReader::Parse(f.bytes(), "hostile.tvl");
  ASSERT_TRUE(reader.ok());
  for (const TensorInfo& damaged : reader->tensors()) {
    for (const size_t at : {size_t{0}, damaged.data.size() - 1}) {
      const uint8_t byte = f.Get<uint8_t>(damaged.offset + at);
      f.Set(damaged.offset + at, static_cast<uint8_t>(byte ^ 0x10));
      for (const TensorInfo& t : reader->tensors()) {
        const absl::Status status = reader->VerifyTensor(t);
        EXPECT_EQ(status.ok(), t.name != damaged.name);
        if (t.name != damaged.name) continue;
        EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
        EXPECT_THAT(std::string(status.message()),
                    HasSubstr(absl::StrCat("hostile.tvl: tensor ", t.name, ": expected")));
      }
      f.Set(damaged.offset + at, byte);
    }
  }
  EXPECT_EQ(reader->VerifyTokenizer(), absl::OkStatus());
  const size_t last = f.Get<uint64_t>(40) + reader->tokenizer_section().size() - 1;
  f.Set(last, uint8_t{1});
  EXPECT_EQ(reader->VerifyTokenizer().code(), absl::StatusCode::kDataLoss);
}

TEST(TvlDamageTest, EveryTruncationIsRefused) {
  const HostileFile good = WithTokenizer();
  std::vector<size_t> lengths;
  for (size_t n = 0; n <= 65536; n += 64) lengths.push_back(n);
  for (size_t i = 0; i < good.EntryCount(); ++i) {
    const uint64_t begin = good.Get<uint64_t>(good.Entry(i) + 88),
                   bytes = good.Get<uint64_t>(good.Entry(i) + 96);
    for (const uint64_t n : {begin - 1, begin, begin + 1, begin + bytes - 1}) lengths.push_back(n);
  }
  for (const size_t n : lengths) {
    HostileFile f(good.bytes().first(n));
    EXPECT_NE(f.Error(), "") << n;
    if (n < sizeof(format::Header)) continue;
    EXPECT_THAT(f.Error(), HasSubstr("the file is truncated")) << n;
    // As if the writer had been stopped and had known: the checks behind the size must hold, too.
    f.Set(16, uint64_t{n}).Seal();
    EXPECT_NE(f.Error(), "") << n;
  }
}

TEST(TvlDamageTest, LessThanAHeader) {
  const HostileFile good = Plain();
  EXPECT_THAT(HostileFile(good.bytes().first(0)).Error(), HasSubstr("magic"));
  for (size_t n = 1; n < sizeof(format::Header); ++n) {
    EXPECT_THAT(HostileFile(good.bytes().first(n)).Error(),
                HasSubstr("file size: expected a header"))
        << n;
  }
}

TEST(TvlDamageTest, AFileThatGrewIsRefused) {
  const HostileFile good = Plain();
  std::vector<std::byte> longer(good.bytes().begin(), good.bytes().end());
  longer.resize(longer.size() + 1);
  EXPECT_THAT(HostileFile(longer).Error(), HasSubstr("file size"));
}

// Whatever is accepted must be safe to use: every view within the file.
void ExpectWithin(const std::span<const std::byte> file, const std::byte* data, size_t bytes) {
  ASSERT_GE(data, file.data());
  ASSERT_LE(data + bytes, file.data() + file.size());
}

void ExpectSafe(const HostileFile& f) {
  const absl::StatusOr<TvlReader> reader = TvlReader::Parse(f.bytes(), "hostile.tvl");
  if (!reader.ok()) return;
  for (const TensorInfo& t : reader->tensors()) (void)reader->VerifyTensor(t);
  const TvlReader::View view = reader->view();
  for (size_t i = 0; i < view.config().n_layers; ++i) {
    const LayerView& layer = view.layer(i);
    for (const TileMatrix* m : {&layer.wq, &layer.wk, &layer.wv, &layer.wo, &layer.w13.first,
                                &layer.w13.second, &layer.w2}) {
      ExpectWithin(f.bytes(), m->Panel(m->panels() - 1), PanelBytes(m->type, m->cols));
    }
  }
  if (!reader->has_tokenizer()) return;
  for (TokenId id = -1; id < 70; ++id)
    (void)reader->tokenizer().FindPiece(reader->tokenizer().piece(id));
  (void)reader->VerifyTokenizer();
}

TEST(TvlDamageTest, RandomDamageNeverCrashes) {
  constexpr uint32_t kSeed = 20260103;
  std::mt19937 random(kSeed);
  const HostileFile good = WithTokenizer();
  const size_t head = good.Get<uint64_t>(40) + good.Get<uint64_t>(good.Get<uint64_t>(40));
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  size_t accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    HostileFile f = good;
    const size_t damages = 1 + below(4);
    for (size_t i = 0; i < damages; ++i) {
      const size_t at = round % 3 == 0 ? below(64) : below(head);
      switch (below(3)) {
        case 0:
          f.Set(at, static_cast<uint8_t>(f.Get<uint8_t>(at) ^ (1u << below(8))));
          break;
        case 1:
          f.Set(at, static_cast<uint8_t>(random()));
          break;
        default:
          f.Set(at / 8 * 8, uint64_t{random()} << below(33));
      }
    }
    ExpectSafe(f);
    f.Seal();
    ExpectSafe(f);
    if (f.Error().empty()) ++accepted;
  }
  // Some damage is legal (a checksum of a tensor, the minor version): the loop is not blind to what
  // follows acceptance.
  EXPECT_GT(accepted, 10u);
}

}  // namespace
}  // namespace tvl
