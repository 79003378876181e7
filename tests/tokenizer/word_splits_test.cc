// The pre-tokenizers against another engine's regular expressions: word_splits.txt says whose.
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "models/tokenizer/llama2c_reference.h"
#include "models/tokenizer/pre_tokenizer.h"
#include "nlohmann/json.hpp"

namespace tvl {
namespace {

constexpr uint32_t kSeed = 20260103;

std::vector<std::string_view> Words(uint32_t number, std::string_view text) {
  EXPECT_TRUE(CheckPreTokenizer(number).ok());
  std::vector<std::string_view> words;
  SplitWords(number, text, &words);
  return words;
}

std::vector<size_t> Lengths(const std::vector<std::string_view>& words) {
  std::vector<size_t> lengths;
  for (const std::string_view word : words) lengths.push_back(word.size());
  return lengths;
}

TEST(WordSplitsTest, EqualPythonsRegex) {
  std::ifstream file("tests/tokenizer/word_splits.txt");
  ASSERT_TRUE(file);
  std::string text;
  std::array<size_t, kPreTokenizerCount> compared = {};
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    if (line.starts_with('"')) {
      text = nlohmann::json::parse(line).get<std::string>();
      continue;
    }
    std::istringstream numbers(line);
    uint32_t number = 0;
    char colon = 0;
    numbers >> number >> colon;
    std::vector<size_t> expected;
    for (size_t length; numbers >> length;) expected.push_back(length);
    EXPECT_EQ(Lengths(Words(number, text)), expected)
        << "pre-tokenizer " << number << ", " << testing::PrintToString(text);
    ASSERT_LT(number, kPreTokenizerCount);
    ++compared[number];
  }
  for (uint32_t number = 0; number < kPreTokenizerCount; ++number)
    EXPECT_GE(compared[number], 60u) << "pre-tokenizer " << number;
}

// Bytes that are not UTF-8, and what follows them.
TEST(WordSplitsTest, OfInvalidUtf8) {
  const auto words = [](std::string_view text) {
    std::vector<std::string> copies;
    for (const std::string_view word : Words(static_cast<uint32_t>(PreTokenizer::kGpt2), text))
      copies.emplace_back(word);
    return copies;
  };
  using Strings = std::vector<std::string>;
  EXPECT_EQ(words("ab\xFF\xFE"
                  "cd e"),
            Strings({"ab", "\xFF\xFE", "cd", " e"}));
  EXPECT_EQ(words("a  \xFF  b"), Strings({"a", "  ", "\xFF", " ", " b"}));
  EXPECT_EQ(words("\xED\xA0\x80x"), Strings({"\xED\xA0\x80", "x"})) << "a surrogate";
  EXPECT_EQ(words("\xF4\x90\x80\x80"), Strings({"\xF4\x90\x80\x80"})) << "beyond U+10FFFF";
  EXPECT_EQ(words("\xC0\xAF/"), Strings({"\xC0\xAF", "/"})) << "longer than needed";
  EXPECT_EQ(words("\xE0\x9F\xBF"), Strings({"\xE0\x9F\xBF"}));
  EXPECT_EQ(words("\xF0\x8F\xBF\xBF"), Strings({"\xF0\x8F\xBF\xBF"}));
  EXPECT_EQ(words("\xC3\xA9\xC3"), Strings({"\xC3\xA9", "\xC3"})) << "cut short";
  EXPECT_EQ(words(std::string_view("\0a", 2)), Strings({std::string(1, '\0'), "a"}));
  EXPECT_EQ(words(""), Strings());
}

TEST(WordSplitsTest, NothingIsLost) {
  std::printf("seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  for (int round = 0; round < 300; ++round) {
    std::string text = RandomBytes(random, 30);
    for (int i = 0; i < 20; ++i) {
      text += RandomCharacter(random);
      if (random() % 4 == 0) text += RandomText(random, {" ", "\n", "'s", "1", "a", "\xFF"}, 5);
    }
    for (uint32_t number = 0; number < kPreTokenizerCount; ++number) {
      std::string joined;
      for (const std::string_view word : Words(number, text)) {
        EXPECT_FALSE(word.empty());
        joined += word;
      }
      ASSERT_EQ(joined, text) << number;
    }
  }
}

// Bounds are loose, so that emulators and sanitizers pass; the times are printed.
TEST(WordSplitsTest, TakeLinearTime) {
  constexpr size_t kBytes = 1 << 17;
  for (const std::string unit : {"a", "A", "7", " ", "\n", "!", " \n", "\xE3\x80\x80", "a ", "'"}) {
    std::string text;
    while (text.size() < kBytes) text += unit;
    text += "\xE6\x9C\xAC";
    for (uint32_t number = 0; number < kPreTokenizerCount; ++number) {
      const auto begin = std::chrono::steady_clock::now();
      Words(number, text);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
      EXPECT_LT(seconds.count(), 10.0) << number << ", " << testing::PrintToString(unit);
      if (seconds.count() > 0.05)
        std::printf("%u, %s: %.3f s\n", number, testing::PrintToString(unit).c_str(),
                    seconds.count());
    }
  }
}

TEST(WordSplitsTest, UnknownNumbersAreRefused) {
  EXPECT_EQ(CheckPreTokenizer(kPreTokenizerCount).message(),
            "pre_tokenizer: expected a number from 0 to 26, which are all that this version knows, "
            "found 27");
  EXPECT_FALSE(CheckPreTokenizer(UINT32_MAX).ok());
}

}  // namespace
}  // namespace tvl
