// Where the characters of a text end.
#ifndef TVL_MODELS_TOKENIZER_UTF8_H_
#define TVL_MODELS_TOKENIZER_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tvl {

// What is well-formed is what The Unicode Standard, table 3-7, says: no surrogates, none beyond
// U+10FFFF, none longer than needed.

// Bytes of the characters that begin with this byte; 0: none does.
constexpr size_t Utf8BytesFrom(uint8_t first) {
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  return first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

// Whether `byte` may be the next of a character that begins with `before`, which is not all of it.
constexpr bool Utf8MayFollow(std::string_view before, uint8_t byte) {
  if (before.size() != 1) return (byte & 0xC0) == 0x80;
  const uint8_t first = static_cast<uint8_t>(before.front());
  const uint8_t lowest = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const uint8_t highest = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  return byte >= lowest && byte <= highest;
}

// Bytes of the character that `text` begins with; 0 if it begins with none.
constexpr size_t Utf8CharacterBytes(std::string_view text) {
  if (text.empty()) return 0;
  const size_t bytes = Utf8BytesFrom(static_cast<uint8_t>(text.front()));
  if (text.size() < bytes) return 0;
  for (size_t i = 1; i < bytes; ++i) {
    if (!Utf8MayFollow(text.substr(0, i), static_cast<uint8_t>(text[i]))) return 0;
  }
  return bytes;
}

}  // namespace tvl

#endif  // TVL_MODELS_TOKENIZER_UTF8_H_
