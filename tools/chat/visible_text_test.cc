#include "tools/chat/visible_text.h"

#include <initializer_list>
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

std::string Shown(bool terminal, std::initializer_list<std::string_view> parts) {
  ShownText shown(terminal);
  std::string out;
  const auto emit = [&](std::string_view text) {
    out += text;
    return absl::OkStatus();
  };
  for (const std::string_view part : parts) EXPECT_TRUE(shown.Push(part, emit).ok());
  EXPECT_TRUE(shown.Finish(emit).ok());
  return out;
}

TEST(ShownTextTest, WholeCharactersToTerminals) {
  EXPECT_EQ(Shown(true, {"a\xE2", "\x82", "\xAC\x1B", "[0m\xC2", "\x9B", "b\xF0\x9F"}),
            "a\u20ac\uFFFD[0m\uFFFDb\uFFFD");
}

TEST(ShownTextTest, BytesToAllElse) {
  EXPECT_EQ(Shown(false, {"a\xE2", "\x82\x1B", "[0m\xC2"}), "a\xE2\x82\x1B[0m\xC2");
}

}  // namespace
}  // namespace tvl
