#include "tools/tuning.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "tools/machine.h"

namespace tvl {
namespace {

namespace fs = std::filesystem;

class TuningTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    unsetenv("TVL_CACHE_DIR");
    setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
  }

  fs::path path() const { return folder_ / "tvl" / "tuning.json"; }
  void Write(const std::string& text) {
    fs::create_directories(path().parent_path());
    std::ofstream(path()) << text;
  }
  std::string Content() const {
    std::ifstream file(path());
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  fs::path folder_;
};

TEST_F(TuningTest, KeysAreOfThisMachineAndRounded) {
  const TuningKey key = TuningKeyFor("b", 5 << 20);
  EXPECT_EQ(key.machine, CpuName());
  EXPECT_EQ(key.cores, CoreCount());
  EXPECT_EQ(key.backend, "b");
  EXPECT_EQ(key.bytes_per_token, 4u << 20);
  EXPECT_EQ(TuningKeyFor("b", 6 << 20).bytes_per_token, 8u << 20);
  EXPECT_EQ(TuningKeyFor("b", 8 << 20).bytes_per_token, 8u << 20);
}

TEST_F(TuningTest, WhatIsSavedIsFound) {
  EXPECT_TRUE(absl::IsNotFound(FindTuning("b", 1000).status()));
  const auto saved = SaveTuning(TuningKeyFor("b", 1000), {1, true});
  ASSERT_TRUE(saved.ok()) << saved.status();
  EXPECT_EQ(*saved, path());
  const auto found = FindTuning("b", 1023);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->threads, 1u);
  EXPECT_TRUE(found->pin);
  EXPECT_TRUE(absl::IsNotFound(FindTuning("other", 1000).status()));
  EXPECT_TRUE(absl::IsNotFound(FindTuning("b", 2000).status()));

  // Others stay, the same is replaced.
  ASSERT_TRUE(SaveTuning(TuningKeyFor("other", 1000), {1, true}).ok());
  ASSERT_TRUE(SaveTuning(TuningKeyFor("b", 1000), {1, false}).ok());
  EXPECT_FALSE(FindTuning("b", 1000)->pin);
  EXPECT_TRUE(FindTuning("other", 1000)->pin);
  TuningKey elsewhere = TuningKeyFor("b", 1000);
  elsewhere.machine += "?";
  ASSERT_TRUE(SaveTuning(elsewhere, {1, true}).ok());
  EXPECT_FALSE(FindTuning("b", 1000)->pin);
}

TEST_F(TuningTest, DamagedFilesAreNamedAndReplaced) {
  ASSERT_TRUE(SaveTuning(TuningKeyFor("b", 1000), {1, false}).ok());
  const std::string good = Content();
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  const std::string damaged[] = {"{",
                                 "[]",
                                 "null",
                                 "\"text\"",
                                 "\xff\xfe",
                                 std::string(1, '\0'),
                                 good.substr(0, good.size() / 2),
                                 with("\"version\": 1", "\"version\": 2"),
                                 with("\"version\": 1", "\"version\": \"1\""),
                                 with("\"version\"", "\"revision\""),
                                 with("\"tunings\"", "\"things\""),
                                 with("\"threads\": 1", "\"threads\": 0"),
                                 with("\"threads\": 1", "\"threads\": -1"),
                                 with("\"threads\": 1", "\"threads\": 1.5"),
                                 with("\"threads\": 1", "\"threads\": 1000000"),
                                 with("\"threads\": 1", "\"threads\": \"1\""),
                                 with("\"pin\": false", "\"pin\": 0"),
                                 with("\"pin\": false", "\"pun\": false"),
                                 with("\"backend\": \"b\"", "\"backend\": 7"),
                                 "{\"version\": 1, \"tunings\": [7]}",
                                 "{\"version\": 1, \"tunings\": {}}",
                                 std::string(100000, '['),
                                 std::string((1 << 20) + 1, ' ')};
  for (const std::string& text : damaged) {
    Write(text);
    const absl::Status status = FindTuning("b", 1000).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << text.substr(0, 200) << ": " << status;
    EXPECT_NE(std::string(status.message()).find("tuning.json"), std::string::npos);
    ASSERT_TRUE(SaveTuning(TuningKeyFor("b", 1000), {1, false}).ok());
    EXPECT_EQ(Content(), good);
  }
}

TEST_F(TuningTest, FoldersThatCannotBe) {
  std::ofstream(folder_) << "a file";
  EXPECT_FALSE(SaveTuning(TuningKeyFor("b", 1000), {1, false}).ok());
  fs::remove(folder_);
  fs::create_directories(path());
  EXPECT_FALSE(SaveTuning(TuningKeyFor("b", 1000), {1, false}).ok());
  EXPECT_FALSE(FindTuning("b", 1000).ok());
}

TEST_F(TuningTest, WhereItIs) {
  setenv("HOME", "/home/x", 1);
  EXPECT_EQ(*TuningPath(), path());
  for (const char* none : {"", "relative"}) {
    setenv("XDG_CACHE_HOME", none, 1);
    EXPECT_EQ(*TuningPath(), CacheFolderOf("/home/x") + "/tvl/tuning.json");
  }
  setenv("TVL_CACHE_DIR", "elsewhere", 1);
  EXPECT_EQ(*TuningPath(), "elsewhere/tuning.json");
  setenv("TVL_CACHE_DIR", "", 1);
  unsetenv("HOME");
  EXPECT_TRUE(absl::IsFailedPrecondition(TuningPath().status()));
  EXPECT_TRUE(absl::IsNotFound(FindTuning("b", 1000).status()));
  EXPECT_FALSE(SaveTuning(TuningKeyFor("b", 1000), {1, false}).ok());
}

TEST(MachineTest, SaysWhatItKnows) {
  EXPECT_FALSE(CpuName().empty());
  EXPECT_GE(CoreCount(), 1u);
  EXPECT_GT(PeakResidentBytes(), 100u << 10);
  EXPECT_LT(PeakResidentBytes(), uint64_t{1} << 40);
  EXPECT_LT(LastLevelCacheBytes(), uint64_t{1} << 40);
}

}  // namespace
}  // namespace tvl
