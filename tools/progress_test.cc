#include "tools/progress.h"

#include <cstddef>
#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace tvl {
namespace {

TEST(ProgressTest, FillsTheBar) {
  EXPECT_EQ(ProgressLine("verifying", 0, 80), "verifying [                                ]   0%");
  EXPECT_EQ(ProgressLine("verifying", 0.5, 80),
            "verifying [================                ]  50%");
  EXPECT_EQ(ProgressLine("verifying", 1, 80), "verifying [================================] 100%");
}

// What the terminal shows for Ctrl-C has room beside it, and the last column stays free.
TEST(ProgressTest, FitsEveryTerminal) {
  for (const std::string_view verb : {"converting", "v"}) {
    size_t before = 0;
    for (size_t columns = 0; columns < 200; ++columns) {
      const std::string line = ProgressLine(verb, 0.5, columns);
      EXPECT_TRUE(line.empty() || line.size() + std::string_view("^C").size() < columns) << line;
      EXPECT_TRUE(line.empty() || line.ends_with(" 50%")) << line;
      EXPECT_GE(line.size(), before);
      before = line.size();
    }
  }
  EXPECT_EQ(ProgressLine("converting", 0.5, 30), "converting [====     ]  50%");
  EXPECT_EQ(ProgressLine("converting", 0.5, 20), "converting  50%");
  EXPECT_EQ(ProgressLine("converting", 0.5, 10), " 50%");
  EXPECT_EQ(ProgressLine("converting", 0.5, 5), "");
}

}  // namespace
}  // namespace tvl
