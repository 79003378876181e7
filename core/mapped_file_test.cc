#include "core/mapped_file.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tvl {
namespace {

using ::testing::HasSubstr;

std::string TempPath(const std::string& name) {
  return ::testing::TempDir() + "mapped_file_test." + name;
}

std::string WriteFile(const std::string& name, const std::string& content) {
  const std::string path = TempPath(name);
  std::filesystem::remove_all(path);
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

// The status of opening `path`, which must name it.
absl::Status OpenError(const std::string& path) {
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  EXPECT_THAT(std::string(file.status().message()), HasSubstr(path));
  return file.status();
}

TEST(MappedFileTest, GivesTheFilesBytes) {
  const std::string content = std::string("mapped\0bytes", 12) + std::string(10000, 'x');
  absl::StatusOr<MappedFile> file = MappedFile::Open(WriteFile("content", content));
  ASSERT_TRUE(file.ok()) << file.status();
  const MappedFile moved = *std::move(file);
  const std::span<const std::byte> bytes = moved.bytes();
  ASSERT_EQ(bytes.size(), content.size());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), content);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(bytes.data()) % static_cast<size_t>(sysconf(_SC_PAGESIZE)),
            0u);
}

// So that the file's multiples of 2 MB can be mapped as one page each.
TEST(MappedFileTest, LargeFilesAreAlignedTo2MB) {
  for (const size_t bytes : {size_t{2} << 20, (size_t{2} << 20) + 1, size_t{5000001}}) {
    std::string content(bytes, 'x');
    content.back() = 'y';
    const absl::StatusOr<MappedFile> file = MappedFile::Open(WriteFile("large", content));
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(file->bytes().data()) % ZeroPages::kHugePageBytes, 0u);
    ASSERT_EQ(file->bytes().size(), bytes);
    EXPECT_EQ(file->bytes().front(), std::byte{'x'});
    EXPECT_EQ(file->bytes().back(), std::byte{'y'});
  }
}

TEST(MappedFileTest, ReadsOnlyWhenTheFileIsGone) {
  const std::string path = WriteFile("unlinked", "still here");
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok());
  std::filesystem::remove(path);
  EXPECT_EQ(file->bytes()[6], std::byte{'h'});
}

TEST(MappedFileTest, Missing) {
  EXPECT_EQ(OpenError(TempPath("missing")).code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(MappedFile::Open("").ok());
}

TEST(MappedFileTest, Directory) {
  const absl::Status status = OpenError(::testing::TempDir());
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("expected a regular file, found a directory"));
}

TEST(MappedFileTest, NamedPipeIsRefusedWithoutWaitingForAWriter) {
  const std::string path = TempPath("fifo");
  std::filesystem::remove(path);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(OpenError(path).code(), absl::StatusCode::kInvalidArgument);
}

TEST(MappedFileTest, Device) {
  EXPECT_EQ(OpenError("/dev/zero").code(), absl::StatusCode::kInvalidArgument);
}

TEST(MappedFileTest, Empty) {
  const absl::Status status = OpenError(WriteFile("empty", ""));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("empty"));
}

TEST(MappedFileTest, Unreadable) {
  const std::string path = WriteFile("unreadable", "secret");
  ASSERT_EQ(chmod(path.c_str(), 0), 0);
  if (geteuid() == 0) {
    // Root reads everything: what is left to check is that the mode alone is no error.
    EXPECT_TRUE(MappedFile::Open(path).ok());
  } else {
    EXPECT_EQ(OpenError(path).code(), absl::StatusCode::kPermissionDenied);
  }
}

TEST(MappedFileTest, OpensNoDescriptorThatStays) {
  const std::string path = WriteFile("descriptor", "content");
  const int before = dup(0);
  ASSERT_GE(before, 0);
  close(before);
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok());
  const int after = dup(0);
  close(after);
  EXPECT_EQ(after, before);
}

TEST(ZeroPagesTest, AreZeroAndTakeMemoryWhenTouched) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  absl::StatusOr<ZeroPages> pages = ZeroPages::Allocate(100 * page + 1);
  ASSERT_TRUE(pages.ok());
  const std::span<const std::byte> all(pages->data(), pages->size());
  EXPECT_EQ(all.size(), 100 * page + 1);
  const size_t before = ResidentBytes(all);
  EXPECT_LT(before, 100 * page);
  EXPECT_EQ(pages->data()[50 * page], std::byte{0});
  pages->data()[50 * page] = std::byte{1};
  pages->data()[100 * page] = std::byte{1};
  EXPECT_GE(ResidentBytes(all), page);
  ZeroPages moved = *std::move(pages);
  EXPECT_EQ(moved.data()[50 * page], std::byte{1});
}

TEST(ZeroPagesTest, NoneAndTooMany) {
  const absl::StatusOr<ZeroPages> none = ZeroPages::Allocate(0);
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->size(), 0u);
  const absl::StatusOr<ZeroPages> too_many = ZeroPages::Allocate(size_t{1} << 60);
  EXPECT_EQ(too_many.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(too_many.status().message()), HasSubstr("1152921504606846976"));
}

TEST(ResidentBytesTest, CountsWhatIsInMemory) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const absl::StatusOr<MappedFile> file =
      MappedFile::Open(WriteFile("resident", std::string(10 * page + 123, 'r')));
  ASSERT_TRUE(file.ok());
  int sum = 0;
  for (const std::byte b : file->bytes()) sum += static_cast<int>(b);
  ASSERT_EQ(sum, static_cast<int>('r' * (10 * page + 123)));
  // All of it was just read; never more than the range, although pages are whole.
  EXPECT_EQ(ResidentBytes(file->bytes()), file->bytes().size());
  EXPECT_EQ(ResidentBytes(file->bytes().subspan(5, 100)), 100u);
  EXPECT_EQ(ResidentBytes(file->bytes().first(0)), 0u);
}

}  // namespace
}  // namespace tvl
