#include "core/read_ahead.h"

#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/mapped_file.h"
#include "core/page_residency.h"
#include "core/residency_testing.h"
#include "gtest/gtest.h"

namespace tvl {
namespace {

std::string WriteFile(const std::string& name, size_t bytes) {
  const std::string path = ::testing::TempDir() + "read_ahead_test." + name;
  std::ofstream(path, std::ios::binary) << std::string(bytes, 'r');
  return path;
}

// Whether it ended by itself, within a minute.
bool Ends(const ReadAhead& read_ahead) {
  for (int i = 0; i < 60000 && !read_ahead.done(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return read_ahead.done();
}

TEST(ReadAheadTest, BringsInWhatIsNotThereAndEnds) {
  if (!testing::SystemPopulates()) GTEST_SKIP() << "this system populates nothing: an emulator?";
  constexpr size_t kBytes = (size_t{40} << 20) + 123;
  const std::string path = WriteFile("cold", kBytes);
  ASSERT_EQ(DropCachedPages(path), absl::OkStatus());
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  const bool dropped = ResidentBytes(file->bytes()) == 0;
  const std::span<const std::byte> bytes = file->bytes();
  {
    const ReadAhead read_ahead({bytes.first(kBytes / 3), bytes.subspan(kBytes / 3)});
    ASSERT_TRUE(Ends(read_ahead));
    // The system itself reads on, so that some chunks are there before it comes to them.
    if (dropped) {
      EXPECT_GE(read_ahead.bytes_read(), size_t{1} << 20);
    }
    EXPECT_LE(read_ahead.bytes_read(), kBytes);
  }
  EXPECT_EQ(ResidentBytes(bytes), kBytes);
  // Now that it is there, nothing is read.
  const ReadAhead again({bytes});
  ASSERT_TRUE(Ends(again));
  EXPECT_EQ(again.bytes_read(), 0u);
  // Where that cannot be known, all is mapped anew.
  const ReadAhead blind({bytes}, /*residency_known=*/false);
  ASSERT_TRUE(Ends(blind));
  EXPECT_EQ(blind.bytes_read(), kBytes);
  if (!dropped) GTEST_SKIP() << "the file system of " << path << " keeps its pages in memory";
}

TEST(ReadAheadTest, StopsWhenItIsNoLongerWanted) {
  const std::string path = WriteFile("stopped", size_t{40} << 20);
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  for (int i = 0; i < 20; ++i) const ReadAhead stopped_at_once({file->bytes()});
}

TEST(ReadAheadTest, NothingToRead) {
  EXPECT_TRUE(Ends(ReadAhead({})));
  EXPECT_TRUE(Ends(ReadAhead({std::span<const std::byte>()})));
  EXPECT_EQ(ReadAhead::Now({}), absl::OkStatus());
}

TEST(ReadAheadTest, LeavesATruncatedFileToWhoReadsIt) {
  if (!testing::SystemPopulates()) GTEST_SKIP() << "this system populates nothing: an emulator?";
  const std::string path = WriteFile("truncated", size_t{8} << 20);
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  std::filesystem::resize_file(path, 1);
  EXPECT_TRUE(Ends(ReadAhead({file->bytes()})));
  EXPECT_EQ(ReadAhead::Now({file->bytes()}).code(), absl::StatusCode::kDataLoss);
}

TEST(ReadAheadTest, NowReadsAll) {
  if (!testing::SystemPopulates()) GTEST_SKIP() << "this system populates nothing: an emulator?";
  const std::string path = WriteFile("now", (size_t{40} << 20) + 123);
  ASSERT_EQ(DropCachedPages(path), absl::OkStatus());
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(ReadAhead::Now({file->bytes()}), absl::OkStatus());
  EXPECT_EQ(ResidentBytes(file->bytes()), file->bytes().size());
}

}  // namespace
}  // namespace tvl
