#include "tools/chat/utf8_stream.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace tvl {
namespace {

// What comes out when `text` goes in so many bytes at a time.
std::vector<std::string> Pieces(std::string_view text, size_t at_a_time) {
  Utf8Stream stream;
  std::vector<std::string> pieces;
  const auto emit = [&](std::string_view piece) {
    pieces.emplace_back(piece);
    return absl::OkStatus();
  };
  for (; !text.empty(); text.remove_prefix(std::min(at_a_time, text.size())))
    EXPECT_TRUE(stream.Push(text.substr(0, at_a_time), emit).ok());
  EXPECT_TRUE(stream.Finish(emit).ok());
  return pieces;
}

std::string Joined(const std::vector<std::string>& pieces) {
  std::string all;
  for (const std::string& piece : pieces) all += piece;
  return all;
}

TEST(Utf8StreamTest, CharactersComeWhole) {
  EXPECT_EQ(Pieces("Zo\xC3\xAB", 1), (std::vector<std::string>{"Z", "o", "\xC3\xAB"}));
  EXPECT_EQ(Pieces("\xE2\x82\xAC 5", 2), (std::vector<std::string>{"\xE2\x82\xAC", " ", "5"}));
  EXPECT_EQ(Pieces("\xF0\x9F\x98\x80!", 3), (std::vector<std::string>{"\xF0\x9F\x98\x80", "!"}));
}

TEST(Utf8StreamTest, WhatIsWholeComesAtOnceAndInOnePiece) {
  EXPECT_EQ(Pieces("a\xC3\xAB\xE2\x82\xAC!", 99),
            (std::vector<std::string>{"a\xC3\xAB\xE2\x82\xAC!"}));
  EXPECT_TRUE(Pieces("", 1).empty());
}

TEST(Utf8StreamTest, OtherBytesAreReplaced) {
  const std::string bad = "\xEF\xBF\xBD";
  struct Case {
    std::string_view text;
    std::string expected;
  };
  // The last two are Unicode's own examples (section 3.9, tables 3-8 and 3-11).
  const Case cases[] = {
      {"\x80", bad},
      {"a\xFF"
       "b",
       "a" + bad + "b"},
      {"\xC3", bad},  // the text ends within a character
      {"\xE2\x82"
       "x",
       bad + "x"},  // another begins within it
      {"\xC3\xC3\xAB", bad + "\xC3\xAB"},
      {"\xC0\xAF", bad + bad},                      // too long a form
      {"\xED\xA0\x80", bad + bad + bad},            // a surrogate
      {"\xF4\x90\x80\x80", bad + bad + bad + bad},  // beyond U+10FFFF
      {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82"
       "A",
       bad + bad + bad + bad + bad + bad + bad + bad + "A"},
      {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF"
       "A",
       bad + bad + bad + bad + "A"},
  };
  for (const Case& c : cases) {
    for (size_t at_a_time = 1; at_a_time <= c.text.size(); ++at_a_time)
      EXPECT_EQ(Joined(Pieces(c.text, at_a_time)), c.expected) << at_a_time;
  }
}

TEST(Utf8StreamTest, TheFirstErrorEndsIt) {
  Utf8Stream stream;
  int calls = 0;
  const auto emit = [&](std::string_view) {
    ++calls;
    return absl::CancelledError("enough");
  };
  EXPECT_TRUE(
      absl::IsCancelled(stream.Push("a\xFF"
                                    "b",
                                    emit)));
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace tvl
