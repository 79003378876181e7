#include "tools/chat/visible_text.h"

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace tvl {
namespace {

std::string Visible(std::string_view text) {
  std::string visible;
  EXPECT_TRUE(EmitVisible(text, [&](std::string_view piece) {
                visible += piece;
                return absl::OkStatus();
              }).ok());
  return visible;
}

TEST(VisibleTextTest, ShowsControlCharacters) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(Visible("\x1B]0;title\x07 red\x1B[31m"), r + "]0;title" + r + " red" + r + "[31m");
  EXPECT_EQ(Visible({"\0\r\x7F\x1F", 4}), r + r + r + r);
  EXPECT_EQ(Visible("\xC2\x80\xC2\x9B"
                    "31m\xC2\x9F"),
            r + r + "31m" + r);
}

TEST(VisibleTextTest, LeavesAllElse) {
  for (const std::string_view text : {"", "a\tb\n", "Zo\xC3\xAB \xE2\x82\xAC", "\xC2\xA0\xC2\xBF",
                                      "\xF0\x9F\x98\x80", "\xC3\x9B"})
    EXPECT_EQ(Visible(text), text);
}

TEST(VisibleTextTest, TheFirstErrorEndsIt) {
  int calls = 0;
  EXPECT_TRUE(
      absl::IsCancelled(EmitVisible("a\x1B"
                                    "b",
                                    [&](std::string_view) {
                                      ++calls;
                                      return absl::CancelledError("enough");
                                    })));
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace tvl
