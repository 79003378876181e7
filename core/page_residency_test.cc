#include "core/page_residency.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/mapped_file.h"
#include "core/residency_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tvl {
namespace {

using ::testing::HasSubstr;

const size_t kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));

std::string WriteFile(const std::string& name, size_t bytes) {
  const std::string path = ::testing::TempDir() + "page_residency_test." + name;
  std::ofstream(path, std::ios::binary) << std::string(bytes, 'p');
  return path;
}

TEST(WholePagesTest, GrowsToPages) {
  alignas(64) static std::byte memory[64];
  const std::span<const std::byte> pages = WholePages(std::span(memory).subspan(1, 1));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(pages.data()) % kPage, 0u);
  EXPECT_EQ(pages.size(), kPage);
  EXPECT_LE(pages.data(), memory + 1);
  const std::span<const std::byte> two(pages.data() + kPage - 1, 2);
  EXPECT_EQ(WholePages(two).size(), 2 * kPage);
  EXPECT_EQ(WholePages(pages).size(), kPage);
  EXPECT_EQ(WholePages(pages.first(0)).size(), 0u);
}

TEST(PopulatePagesTest, BringsInAllOfAFileThatWasDropped) {
  if (!testing::SystemPopulates()) GTEST_SKIP() << "this system populates nothing: an emulator?";
  const std::string path = WriteFile("dropped", 500 * kPage + 7);
  ASSERT_EQ(DropCachedPages(path), absl::OkStatus());
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  // How much is left depends on the file system: a tmpfs drops nothing.
  RecordProperty("resident_after_drop", static_cast<int>(ResidentBytes(file->bytes())));
  PreferLargeReads(file->bytes());
  EXPECT_EQ(PopulatePages(file->bytes()), absl::OkStatus());
  EXPECT_EQ(ResidentBytes(file->bytes()), file->bytes().size());
  EXPECT_EQ(PopulatePages(file->bytes().subspan(3, 1)), absl::OkStatus());
  EXPECT_EQ(PopulatePages(file->bytes().first(0)), absl::OkStatus());
}

TEST(PopulatePagesTest, TouchesNoPageThatTheFileHasLost) {
  if (!testing::SystemPopulates()) GTEST_SKIP() << "this system populates nothing: an emulator?";
  const std::string path = WriteFile("truncated", 100 * kPage);
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  std::filesystem::resize_file(path, kPage);
  PreferLargeReads(file->bytes());
  const absl::Status status = PopulatePages(file->bytes());
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot read the mapped pages"));
}

TEST(DropCachedPagesTest, NamesTheFileThatIsMissing) {
  const absl::Status status = DropCachedPages(::testing::TempDir() + "missing");
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("missing"));
}

// In a process of its own, which gives up its right to more: what LockPages says under a limit.
std::string LockUnderLimit(std::span<const std::byte> range, rlim_t limit) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    const rlimit both = {limit, limit};
    setrlimit(RLIMIT_MEMLOCK, &both);
    // Where this fails, root is one of a sandbox's user namespace, who may not either.
    if (geteuid() == 0) [[maybe_unused]]
      const int is_nobody = setuid(65534);
    const std::string said = LockPages(range, "model.tvl").ToString();
    const bool written = write(ends[1], said.data(), said.size()) >= 0;
    _exit(written ? 0 : 1);
  }
  close(ends[1]);
  char text[1000];
  std::string said;
  for (ssize_t got; (got = read(ends[0], text, sizeof(text))) > 0;)
    said.append(text, static_cast<size_t>(got));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return WEXITSTATUS(status) == 0 ? said : "the child failed";
}

TEST(LockPagesTest, NamesTheLimit) {
  const absl::StatusOr<MappedFile> file = MappedFile::Open(WriteFile("locked", 64 * kPage));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(LockUnderLimit(file->bytes(), 64 * kPage), "OK");
  const std::string bytes = std::to_string(64 * kPage);
  for (const size_t limit : {size_t{0}, kPage, 63 * kPage}) {
    EXPECT_EQ(LockUnderLimit(file->bytes(), limit),
              "RESOURCE_EXHAUSTED: model.tvl: cannot lock it in memory: expected a limit of locked "
              "memory (RLIMIT_MEMLOCK) of " +
                  bytes + " bytes at least, found " + std::to_string(limit) +
                  "; raise it with 'ulimit -l " + std::to_string(64 * kPage / 1024) +
                  "' or in limits.conf");
  }
}

}  // namespace
}  // namespace tvl
