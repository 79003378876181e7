#include "models/import/gguf_parts.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace tvl {
namespace {

using Paths = std::vector<std::string>;

TEST(GgufPartPathsTest, OfTheFirstPartAll) {
  EXPECT_EQ(
      GgufPartPaths("a/m-00001-of-00003.gguf"),
      (Paths{"a/m-00001-of-00003.gguf", "a/m-00002-of-00003.gguf", "a/m-00003-of-00003.gguf"}));
  EXPECT_EQ(GgufPartPaths("-00001-of-00001.gguf"), Paths{"-00001-of-00001.gguf"});
  EXPECT_EQ(GgufPartPaths("m-00001-of-99999.gguf").size(), 99999u);
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
