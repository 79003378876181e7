#include "models/piece_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/atomic_file.h"

namespace tvl {
namespace {

std::vector<std::byte> Bytes(size_t count) {
  std::vector<std::byte> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * 2654435761u >> 13);
  return bytes;
}

std::vector<char> Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Pieces that end in the middle of an append, appends longer than a piece, and one byte more.
TEST(PieceWriterTest, WritesWhatWasAppended) {
  constexpr size_t kPiece = PieceWriter::kPieceBytes;
  const std::string path = ::testing::TempDir() + "pieces";
  for (const size_t begin : {size_t{0}, size_t{65536}, kPiece - 1, kPiece, kPiece + 64}) {
    for (const size_t step : {size_t{255744}, size_t{1000003}, 2 * kPiece + 1, kPiece}) {
      SCOPED_TRACE(::testing::Message() << "begin " << begin << " step " << step);
      const std::vector<std::byte> bytes = Bytes(3 * kPiece + 1);
      absl::StatusOr<AtomicFile> file = AtomicFile::Create(path);
      ASSERT_TRUE(file.ok());
      PieceWriter writer(&*file);
      for (size_t at = 0; at < bytes.size(); at += step) {
        const size_t count = std::min(step, bytes.size() - at);
        ASSERT_TRUE(writer.Append(begin + at, std::span(bytes).subspan(at, count)).ok());
      }
      ASSERT_TRUE(writer.Flush().ok());
      ASSERT_TRUE(file->Commit().ok());
      const std::vector<char> found = Read(path);
      ASSERT_EQ(found.size(), begin + bytes.size());
      EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), found.begin() + begin,
                             [](std::byte a, char b) { return static_cast<char>(a) == b; }));
      EXPECT_TRUE(std::all_of(found.begin(), found.begin() + begin, [](char c) { return c == 0; }));
    }
  }
}

TEST(PieceWriterTest, BeginsAnewElsewhere) {
  const std::string path = ::testing::TempDir() + "elsewhere";
  absl::StatusOr<AtomicFile> file = AtomicFile::Create(path);
  ASSERT_TRUE(file.ok());
  PieceWriter writer(&*file);
  const std::vector<std::byte> bytes = Bytes(10);
  ASSERT_TRUE(writer.Append(100, bytes).ok());
  ASSERT_TRUE(writer.Append(20, std::span(bytes).first(3)).ok());
  ASSERT_TRUE(writer.Append(23, std::span(bytes).last(7)).ok());
  ASSERT_TRUE(writer.Flush().ok());
  ASSERT_TRUE(writer.Flush().ok());
  ASSERT_TRUE(file->Commit().ok());
  const std::vector<char> found = Read(path);
  ASSERT_EQ(found.size(), 110u);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(static_cast<std::byte>(found[100 + i]), bytes[i]);
    EXPECT_EQ(static_cast<std::byte>(found[20 + i]), bytes[i]);
  }
  EXPECT_EQ(found[99], 0);
  EXPECT_EQ(found[30], 0);
}

}  // namespace
}  // namespace tvl
