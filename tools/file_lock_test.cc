#include "tools/file_lock.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace tvl {
namespace {

namespace fs = std::filesystem;

class FileLockTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = ::testing::TempDir() + "/" +
            ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove(path_);
  }
  FileLock Hold() {
    auto lock = FileLock::Wait(path_, [] { FAIL() << "nobody holds it"; });
    EXPECT_TRUE(lock.ok()) << lock.status();
    return *std::move(lock);
  }
  std::string Content() const {
    std::ifstream file(path_);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  std::string path_;
};

TEST_F(FileLockTest, OneHolds) {
  EXPECT_TRUE(absl::IsNotFound(FileLock::Try(path_).status()));
  {
    const FileLock lock = Hold();
    EXPECT_TRUE(absl::IsUnavailable(FileLock::Try(path_).status()));
  }
  EXPECT_TRUE(FileLock::Try(path_).ok());
  Hold();
}

TEST_F(FileLockTest, WritesAllThatTheFileHolds) {
  const FileLock lock = Hold();
  ASSERT_TRUE(lock.Write("something long").ok());
  ASSERT_TRUE(lock.Write("short").ok());
  EXPECT_EQ(Content(), "short");
  lock.Remove();
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(FileLockTest, WhoWaitedForAFileThatIsRemovedHoldsAnother) {
  std::optional<FileLock> first = Hold();
  ASSERT_TRUE(first->Write("the first").ok());
  std::atomic<bool> waiting = false;
  std::optional<FileLock> second;
  std::thread waiter([&] {
    auto lock = FileLock::Wait(path_, [&] {
      waiting = true;
      waiting.notify_one();
    });
    if (lock.ok()) second.emplace(*std::move(lock));
  });
  waiting.wait(false);
  first->Remove();
  first.reset();
  waiter.join();
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(Content(), "");
  EXPECT_TRUE(absl::IsUnavailable(FileLock::Try(path_).status()));
}

TEST_F(FileLockTest, HoldsAFileThatIsReplacedMeanwhile) {
  {
    const auto lock = FileLock::TryItself(path_);
    ASSERT_TRUE(lock.ok()) << lock.status();
    EXPECT_TRUE(lock->IsEmpty());
    EXPECT_TRUE(absl::IsUnavailable(FileLock::TryItself(path_).status()));
    std::ofstream(path_ + ".new") << "another";
    fs::rename(path_ + ".new", path_);
    EXPECT_TRUE(FileLock::TryItself(path_).ok());  // whoever replaced it is done
  }
  EXPECT_EQ(Content(), "another");
}

TEST_F(FileLockTest, AFileThatWasMadeForNothingIsRemoved) {
  EXPECT_TRUE(FileLock::TryItself(path_).ok());
  EXPECT_FALSE(fs::exists(path_));
  std::ofstream(path_).flush();
  EXPECT_TRUE(FileLock::TryItself(path_).ok());
  EXPECT_TRUE(fs::exists(path_));  // somebody else's
  std::ofstream(path_) << "text";
  EXPECT_FALSE(FileLock::TryItself(path_)->IsEmpty());
  EXPECT_EQ(Content(), "text");
}

TEST_F(FileLockTest, FollowsLinks) {
  fs::remove(path_ + ".link");
  fs::create_symlink(path_, path_ + ".link");
  const auto lock = FileLock::TryItself(path_ + ".link");
  ASSERT_TRUE(lock.ok()) << lock.status();
  EXPECT_TRUE(absl::IsUnavailable(FileLock::TryItself(path_).status()));
}

TEST_F(FileLockTest, SaysWhatCannotBeOpened) {
  const auto lock = FileLock::Wait(path_ + "/below", [] {});
  EXPECT_NE(std::string(lock.status().message()).find(path_), std::string::npos) << lock.status();
}

}  // namespace
}  // namespace tvl
