#include "tools/chat/key_decoder.h"

#include <optional>
#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace tvl {
namespace {

// What an editor gets for these bytes between an a and a z, which stand for text before and after.
std::string Between(std::string_view bytes) {
  KeyDecoder decoder;
  std::string out;
  for (const std::string_view part : {std::string_view("a"), bytes, std::string_view("z")}) {
    for (const char byte : part) {
      if (const std::optional<char> got = decoder.Push(byte)) out += *got;
    }
  }
  EXPECT_FALSE(decoder.within());
  EXPECT_EQ(out.front(), 'a');
  EXPECT_EQ(out.back(), 'z');
  return out.substr(1, out.size() - 2);
}

std::string Code(KeyCode code) { return std::string(1, static_cast<char>(code)); }

TEST(KeyDecoderTest, KeysThatMove) {
  struct Key {
    KeyCode code;
    std::string_view sequence;
  };
  const Key keys[] = {
      {KeyCode::kUp, "\x1b[A"},
      {KeyCode::kUp, "\x1bOA"},
      {KeyCode::kDown, "\x1b[B"},
      {KeyCode::kRight, "\x1b[C"},
      {KeyCode::kLeft, "\x1bOD"},
      {KeyCode::kLeft, "\x1b[1;1D"},
      {KeyCode::kHome, "\x1b[H"},
      {KeyCode::kHome, "\x1bOH"},
      {KeyCode::kHome, "\x1b[1~"},
      {KeyCode::kHome, "\x1b[7~"},
      {KeyCode::kEnd, "\x1b[F"},
      {KeyCode::kEnd, "\x1b[4~"},
      {KeyCode::kEnd, "\x1b[8~"},
      {KeyCode::kDelete, "\x1b[3~"},
      {KeyCode::kPrevWord, "\x1b[1;5D"},
      {KeyCode::kPrevWord, "\x1b[5D"},
      {KeyCode::kPrevWord, "\x1bOd"},
      {KeyCode::kPrevWord, "\x1bO5D"},
      {KeyCode::kPrevWord, "\x1bO1;5D"},
      {KeyCode::kPrevWord,
       "\x1b"
       "b"},
      {KeyCode::kNextWord, "\x1b[1;5C"},
      {KeyCode::kNextWord, "\x1b[5C"},
      {KeyCode::kNextWord, "\x1bOc"},
      {KeyCode::kNextWord,
       "\x1b"
       "f"},
      {KeyCode::kDeleteNextWord, "\x1b[3;5~"},
      {KeyCode::kDeleteNextWord, "\x1b[3^"},
      {KeyCode::kDeleteNextWord,
       "\x1b"
       "d"},
      {KeyCode::kDeletePrevWord, "\x1b\x7f"},
      {KeyCode::kDeletePrevWord, "\x1b\b"},
      {KeyCode::kUpperCase, "\x1bu"},
      {KeyCode::kPaste, "\x1b[200~"},
  };
  for (const Key& key : keys)
    EXPECT_EQ(Between(key.sequence), Code(key.code)) << key.sequence.substr(1);
}

TEST(KeyDecoderTest, KeysThatDoNothing) {
  std::string sequences[] = {
      "\x1b[2~",
      "\x1b[5~",
      "\x1b[6~",
      "\x1b[5;2~",  // Insert, Page Up and Down
      "\x1bOP",
      "\x1bOQ",
      "\x1bOR",
      "\x1bOS",
      "\x1bO2P",
      "\x1b[1;2P",  // F1 to F4
      "\x1b[11~",
      "\x1b[15~",
      "\x1b[24~",
      "\x1b[15;5~",
      "\x1b[24^",  // F1 to F12
      "\x1b[[A",
      "\x1b[[B",
      "\x1b[[C",
      "\x1b[[D",
      "\x1b[[E",  // of Linux's console
      "\x1b[25~",
      "\x1b[34~",
      "\x1b[23$",
      "\x1b[24@",  // F13 to F20, rxvt's
      "\x1b[1;2D",
      "\x1b[1;3C",
      "\x1b[1;4A",
      "\x1b[1;6D",
      "\x1b[1;9C",  // Shift, Alt, both, Meta
      "\x1b[1;5A",
      "\x1b[a",
      "\x1b[d",
      "\x1bOa",
      "\x1b\x1b[D",
      "\x1b\x1bOd",
      "\x1b[3;2~",
      "\x1b[3$",
      "\x1b[2$",
      "\x1b[7^",
      "\x1b[8@",
      "\x1b[H\x1b[1;2H",
      "\x1b[Z",
      "\x1b[I",
      "\x1b[O",
      "\x1b[E",
      "\x1bOM",
      "\x1bOj",  // Shift-Tab, focus, keypad
      "\x1b[97;5u",
      "\x1b[27;5;9~",
      "\x1b[<0;12;7M",
      "\x1b[M !!",
      "\x1b[?1;2c",
      "\x1b[12;40R",
      "\x1b[?2026;2$y",
      "\x1b]11;rgb:0/0/0\x07",
      "\x1b]0;t\x1b\\",
      "\x1bP1$r0m\x1b\\",
      "\x1b"
      "a",
      "\x1b"
      "1",
      "\x1b.",
      "\x1b<",
      "\x1b\xc3\xa9",
      "\x1b\xf0\x9f\x99\x82",
      "\x1b\x1b\x1b"
      "x",
      "\x0f",
      "\x11",
      "\x13",
      "\x16",
      "\x18",
      "\x1c",
      "\x1d",
      "\x1e",
      "\x1f",
      std::string(1, '\0'),
  };
  for (const std::string& sequence : sequences) {
    const std::string rest = sequence == "\x1b[H\x1b[1;2H" ? Code(KeyCode::kHome) : "";
    EXPECT_EQ(Between(sequence), rest) << testing::PrintToString(sequence);
  }
}

TEST(KeyDecoderTest, TextIsText) {
  for (const std::string_view text : {"", "b [1;5D~", "\u00e9\u20ac\U0001f642e\u0301", "\xff\xfe",
                                      "\t\r\n\x03\x04\x08\x7f\x01\x12"})
    EXPECT_EQ(Between(text), text);
}

// What interrupts a sequence is a key of its own.
TEST(KeyDecoderTest, UnfinishedSequences) {
  for (const std::string_view begun : {"\x1b", "\x1b[", "\x1b[1;", "\x1bO", "\x1bO5"}) {
    EXPECT_EQ(Between(std::string(begun) + "\r"), "\r");
    EXPECT_EQ(Between(std::string(begun) + "\x03"), "\x03");
    KeyDecoder decoder;
    for (const char byte : begun) EXPECT_EQ(decoder.Push(byte), std::nullopt);
    EXPECT_TRUE(decoder.within());
    decoder.GiveUp();
    EXPECT_FALSE(decoder.within());
    EXPECT_EQ(decoder.Push('b'), 'b');
    EXPECT_EQ(decoder.Push('D'), 'D');
  }
}

}  // namespace
}  // namespace tvl
