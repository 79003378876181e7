#include "tools/mapping_fault.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "core/mapped_file.h"
#include "core/thread_pool.h"
#include "gtest/gtest.h"
#include "models/atomic_file.h"

namespace tvl {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBytes = size_t{1} << 20;

// A file of its own, mapped, and then truncated.
class MappingFaultTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "/mapping_fault_test." +
            testing::UnitTest::GetInstance()->current_test_info()->name();
    std::ofstream(path_) << std::string(kBytes, 'x');
    absl::StatusOr<MappedFile> file = MappedFile::Open(path_);
    ASSERT_TRUE(file.ok()) << file.status();
    file_.emplace(*std::move(file));
    fs::resize_file(path_, 100);
  }
  void TearDown() override { fs::remove(path_); }

  // Reads what is no longer there.
  void Touch() const {
    [[maybe_unused]] const volatile std::byte lost =
        const_cast<const volatile std::byte&>(file_->bytes()[kBytes - 1]);
  }
  std::string Sentence() const {
    return "^tvl: " + path_ + ": the file was truncated while in use, or cannot be read\n$";
  }

  std::string path_;
  std::optional<MappedFile> file_;
};

TEST_F(MappingFaultTest, IsOneSentenceAndExitCodeOne) {
  EXPECT_EXIT(
      {
        HandleMappingFaults();
        Touch();
      },
      testing::ExitedWithCode(1), Sentence());
}

TEST_F(MappingFaultTest, InThreadsOfAPoolToo) {
  EXPECT_EXIT(
      {
        HandleMappingFaults();
        ThreadPool pool(4);
        pool.Run([&](const ThreadPool::Worker& worker) {
          worker.Sync();
          if (worker.index() > 0) Touch();
          worker.Sync();
        });
      },
      testing::ExitedWithCode(1), Sentence());
}

TEST_F(MappingFaultTest, RemovesUnfinishedFiles) {
  const fs::path folder = path_ + ".d";
  fs::remove_all(folder);
  fs::create_directory(folder);
  EXPECT_EXIT(
      {
        HandleMappingFaults();
        auto committed = AtomicFile::Create(folder / "committed");
        auto abandoned = AtomicFile::Create(folder / "abandoned");
        auto moved = AtomicFile::Create(folder / "moved");
        if (!committed->Commit().ok()) _exit(3);
        { const AtomicFile gone = *std::move(abandoned); }
        const AtomicFile here = *std::move(moved);
        if (fs::is_empty(folder)) _exit(4);
        Touch();
      },
      testing::ExitedWithCode(1), Sentence());
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    EXPECT_EQ(entry.path().filename(), "committed");
    ++files;
  }
  EXPECT_EQ(files, 1u);
  fs::remove_all(folder);
}

// Of another mapping, of a file that is no longer mapped, and one that kill sent: as without the
// handler.
TEST_F(MappingFaultTest, OtherFaultsDoWhatTheyDoByDefault) {
  EXPECT_EXIT(
      {
        HandleMappingFaults();
        const std::string other = path_ + ".other";
        FILE* file = std::fopen(other.c_str(), "w+");
        std::remove(other.c_str());
        void* page = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
        [[maybe_unused]] const char lost = *static_cast<volatile char*>(page);
      },
      testing::KilledBySignal(SIGBUS), "^(qemu: uncaught target signal 7.*\n)?$");
  EXPECT_EXIT(
      {
        HandleMappingFaults();
        raise(SIGBUS);
      },
      testing::KilledBySignal(SIGBUS), "^(qemu: uncaught target signal 7.*\n)?$");
}

TEST_F(MappingFaultTest, FilesAreFoundWhileTheyAreMapped) {
  const std::byte* begin = file_->bytes().data();
  EXPECT_EQ(MappedFileAt(begin), path_);
  EXPECT_EQ(MappedFileAt(begin + kBytes - 1), path_);
  EXPECT_EQ(MappedFileAt(begin + kBytes), nullptr);
  EXPECT_EQ(MappedFileAt(begin - 1), nullptr);
  EXPECT_EQ(MappedFileAt(nullptr), nullptr);
  std::optional<MappedFile> moved(std::move(*file_));
  file_.reset();
  EXPECT_EQ(MappedFileAt(begin), path_);
  moved.reset();
  EXPECT_EQ(MappedFileAt(begin), nullptr);
  for (int i = 0; i < 200; ++i) {  // entries are used again
    const auto again = MappedFile::Open(path_);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(MappedFileAt(again->bytes().data()), path_);
  }
}

}  // namespace
}  // namespace tvl
