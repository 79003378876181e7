#include "tools/mapped_pages.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "core/huge_pages.h"
#include "core/mapped_file.h"
#include "core/page_residency.h"
#include "core/thread_pool.h"
#include "gtest/gtest.h"
#include "tools/read_bandwidth.h"

namespace tvl {
namespace {

constexpr size_t kPiece = size_t{2} << 20;
constexpr size_t kBytes = 33 * kPiece;

// A file of that many bytes, on the disk, written in pieces of so many.
class WrittenFile {
 public:
  WrittenFile(size_t bytes, size_t piece_bytes)
      : path_(testing::TempDir() + "pages-" + std::to_string(bytes + piece_bytes)) {
    const std::vector<char> piece(piece_bytes, 'x');
    const int fd = open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (size_t at = 0; at < bytes; at += piece_bytes) {
      const size_t size = std::min(piece_bytes, bytes - at);
      EXPECT_EQ(pwrite(fd, piece.data(), size, static_cast<off_t>(at)), static_cast<ssize_t>(size));
    }
    fdatasync(fd);
    close(fd);
  }
  ~WrittenFile() { std::remove(path_.c_str()); }
  WrittenFile(const WrittenFile&) = delete;
  WrittenFile& operator=(const WrittenFile&) = delete;

  const std::string& path() const { return path_; }
  MappedFile Map() const { return MappedFile::Open(path_).value(); }

 private:
  std::string path_;
};

TEST(MappedPagesTest, CountsWhatIsInMemory) {
  const WrittenFile written(kBytes, kPiece);
  const MappedFile file = written.Map();
  const MappedPages pages = LookAtPages(file.bytes());
  if (!CountsHugePages() || sysconf(_SC_PAGESIZE) != 4096) {
    EXPECT_EQ(pages.bytes, 0u);
    EXPECT_EQ(PagesText(pages), "");
    return;
  }
  // The system may have dropped some of what was written.
  EXPECT_GE(pages.bytes, kBytes / 2);
  EXPECT_LE(pages.bytes, kBytes);
  EXPECT_LE(pages.large, pages.bytes);
  EXPECT_EQ(PagesText(pages) == "mapped by 2 MB", !pages.small());
}

TEST(MappedPagesTest, SmallFilesAreNotLookedAt) {
  const WrittenFile written(31 * kPiece, kPiece);
  const MappedFile file = written.Map();
  const MappedPages pages = LookAtPages(file.bytes());
  EXPECT_EQ(pages.bytes, 0u);
  EXPECT_FALSE(pages.small());
}

TEST(MappedPagesTest, TheRateIsAShare) {
  const WrittenFile written(kBytes, 4096);
  const MappedFile file = written.Map();
  ThreadPool pool(2);
  const double rate = RateBesideLargePages(file.bytes(), pool);
  EXPECT_GT(rate, 0);
  EXPECT_LE(rate, 1);
}

size_t Resident(const WrittenFile& file) { return ResidentBytes(file.Map().bytes()); }

// What is small is dropped, as far as the file system can, and what is large, or takes too long to
// read again, stays.
TEST(MappedPagesTest, Mends) {
  const WrittenFile written(kBytes, 12288), dropped(kBytes, 4096);
  const bool small = LookAtPages(written.Map().bytes()).small();
  const size_t before = Resident(written);
  MendPages(written.path(), 5);
  EXPECT_EQ(Resident(written), before);
  DropCachedPages(dropped.path()).IgnoreError();
  MendPages(written.path(), 0.1);
  EXPECT_EQ(Resident(written), small ? Resident(dropped) : before);
  MendPages(written.path() + ".none", 0.1);
}

TEST(MappedPagesTest, Texts) {
  EXPECT_EQ(PagesText({}), "");
  EXPECT_EQ(PagesText({.bytes = 100 * kPiece, .large = 95 * kPiece}), "mapped by 2 MB");
  EXPECT_EQ(PagesText({.bytes = 100 * kPiece, .large = 50 * kPiece}),
            "105 MB of 210 MB mapped by 2 MB, the rest by 4 KB");
  const std::string text = SmallPagesText("model.tvl", 0.714);
  EXPECT_TRUE(absl::StrContains(text, "model.tvl is mapped in small pages")) << text;
  EXPECT_TRUE(absl::StrContains(text, "at 71% of its speed")) << text;
  EXPECT_TRUE(absl::StrContains(text, "dd if=model.tvl iflag=nocache count=0")) << text;
  EXPECT_TRUE(absl::StrContains(SmallPagesText("m", 1), "as fast as through large ones"));
}

TEST(MachineReadTest, ReadsAsMuchAsAskedFor) {
  for (const size_t threads : {1, 3}) {
    ThreadPool pool(threads);
    const auto machine = MachineRead::Create(3 * kPiece + 64, pool);
    ASSERT_TRUE(machine.ok()) << machine.status();
    EXPECT_EQ(machine->bytes(), 3 * kPiece + 64);
    EXPECT_GT(machine->ReadOnce(pool), 0);
    EXPECT_GT(MeasureMachineRate(*machine, pool, 0.01), 0);
    // At least one page, and never more than the machine has.
    EXPECT_EQ(MachineRead::Create(0, pool)->bytes(), kPiece);
  }
}

}  // namespace
}  // namespace tvl
