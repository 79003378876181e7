#include "tools/model_cache.h"

#include <cstdlib>
#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "models/tvl_reader.h"

namespace tvl {
namespace {

namespace fs = std::filesystem;

class ModelCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    ASSERT_EQ(setenv("TVL_CACHE_DIR", folder_.c_str(), 1), 0);
    ASSERT_NE(std::getenv("SMALL_GGUF"), nullptr);
    gguf_ = std::getenv("SMALL_GGUF");
  }

  std::string folder_;
  std::string gguf_;
};

TEST_F(ModelCacheTest, WhatIsOpenStaysWhenTheCacheIsCleared) {
  const auto converted = OpenTvlFile(gguf_);
  ASSERT_TRUE(converted.ok()) << converted.status();
  const auto found = OpenTvlFile(gguf_);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->path, converted->path);
  ASSERT_TRUE(RemoveCachedModel(folder_, fs::path(found->path).stem()).ok());
  EXPECT_TRUE(fs::is_empty(folder_));
  for (const TvlFile* model : {&*converted, &*found}) {
    const auto reader = TvlReader::Parse(model->file.bytes(), gguf_);
    ASSERT_TRUE(reader.ok()) << reader.status();
    for (const TensorInfo& tensor : reader->tensors())
      EXPECT_TRUE(reader->VerifyTensor(tensor).ok());
  }
}

}  // namespace
}  // namespace tvl
