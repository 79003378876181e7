#include "tools/printable.h"

#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace tvl {
namespace {

using std::string_view_literals::operator""sv;

TEST(PrintableTest, KeepsText) {
  for (const char* text :
       {"", "a b~", "C:\\x 'y' \"z\"", "\u00a0\u00e9", "\u65e5\u672c", "\U0001F600"})
    EXPECT_EQ(Printable(text), text);
}

TEST(PrintableTest, EscapesControlCharacters) {
  EXPECT_EQ(Printable("a\nb\tc\r\x1b[31m"), "a\\nb\\tc\\r\\x1b[31m");
  EXPECT_EQ(Printable("\0\x01\x1f\x7f"sv), "\\x00\\x01\\x1f\\x7f");
  EXPECT_EQ(Printable("\u0080\u009b\u009f"), "\\xc2\\x80\\xc2\\x9b\\xc2\\x9f");
}

TEST(PrintableTest, EscapesWhatTurnsLinesAround) {
  for (const char* text :
       {"\u061c", "\u200e", "\u200f", "\u2028", "\u2029", "\u202a", "\u202e", "\u2066", "\u2069"}) {
    const std::string escaped = Printable(text);
    EXPECT_EQ(escaped.size(), 4 * std::string_view(text).size()) << escaped;
    EXPECT_EQ(escaped.substr(0, 2), "\\x");
  }
  for (const char* text : {"\u061b", "\u200d", "\u2010", "\u2027", "\u202f", "\u2065", "\u206a"})
    EXPECT_EQ(Printable(text), text);
}

TEST(PrintableTest, EscapesWhatIsNoUtf8) {
  EXPECT_EQ(Printable("\x80"
                      "a\xff"),
            "\\x80"
            "a\\xff");
  EXPECT_EQ(Printable("\xe2\x82"), "\\xe2\\x82");  // cut short
  EXPECT_EQ(Printable("\xc0\x8a"), "\\xc0\\x8a");  // longer than needed
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");
}

}  // namespace
}  // namespace tvl
