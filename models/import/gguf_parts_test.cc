#include "models/import/gguf_parts.h"

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace tvl {
namespace {

using Paths = std::vector<std::string>;

TEST(GgufPartPathsTest, OfTheFirstPartAllThatAreThere) {
  const std::string m = ::testing::TempDir() + "/m";
  const auto path = [&](const char* part) { return absl::StrCat(m, "-", part, "-of-00004.gguf"); };
  for (const char* part : {"00001", "00002", "00004"}) std::ofstream(path(part)) << "here";
  EXPECT_EQ(GgufPartPaths(path("00001")), (Paths{path("00001"), path("00002")}));
  std::ofstream(path("00003")) << "here";
  EXPECT_EQ(GgufPartPaths(path("00001")),
            (Paths{path("00001"), path("00002"), path("00003"), path("00004")}));
  EXPECT_EQ(GgufPartPaths(m + "-00001-of-99999.gguf"), Paths{m + "-00001-of-99999.gguf"});
  EXPECT_EQ(GgufPartPaths("-00001-of-00001.gguf"), Paths{"-00001-of-00001.gguf"});
}

TEST(GgufPartPathsTest, OfOthersThemselves) {
  for (const char* path :
       {"", "m.gguf", "00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00001-of-00000.gguf",
        "m-00001-of-000x3.gguf", "m-00001-of- 0003.gguf", "m-00001-of-+0003.gguf",
        "m-00001-of-00003.GGUF", "m-00001-of-00003.gguf.part", "m-00001-of-3.gguf"})
    EXPECT_EQ(GgufPartPaths(path), Paths{path});
}

}  // namespace
}  // namespace tvl
