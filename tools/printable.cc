#include "tools/printable.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "models/tokenizer/utf8.h"

namespace tvl {
namespace {

// Of a well-formed character.
bool IsPrintable(std::string_view character) {
  if (character.size() == 1) return character >= " " && character < "\x7f";
  if (character.size() == 2) {
    // U+0080 to U+009F, and the Arabic letter mark.
    return character >= "\u00a0" && character != "\u061c";
  }
  // The order of the bytes is that of the code points.
  const auto within = [character](std::string_view first, std::string_view last) {
    return character >= first && character <= last;
  };
  return !within("\u200e", "\u200f") && !within("\u2028", "\u202e") && !within("\u2066", "\u2069");
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t bytes = Utf8CharacterBytes(text);
    const std::string_view next = text.substr(0, std::max<size_t>(bytes, 1));
    if (bytes != 0 && IsPrintable(next)) {
      out += next;
    } else {
      out += absl::CHexEscape(std::string(next));
    }
    text.remove_prefix(next.size());
  }
  return out;
}

}  // namespace tvl
