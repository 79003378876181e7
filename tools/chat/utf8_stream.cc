#include "tools/chat/utf8_stream.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tvl {
namespace {

// Bytes of the character that begins with `lead`; 0: none does.
size_t CharacterBytes(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

// Whether `byte` may be the next after `before`, which begin a character (Unicode, table 3-7).
bool MayFollow(std::string_view before, uint8_t byte) {
  uint8_t low = 0x80;
  uint8_t high = 0xBF;
  if (before.size() == 1) {
    switch (static_cast<uint8_t>(before.front())) {
      case 0xE0:
        low = 0xA0;
        break;
      case 0xED:
        high = 0x9F;
        break;
      case 0xF0:
        low = 0x90;
        break;
      case 0xF4:
        high = 0x8F;
        break;
      default:
        break;
    }
  }
  return byte >= low && byte <= high;
}

}  // namespace

size_t Utf8Stream::WholePrefix(std::string_view bytes) {
  size_t whole = 0;
  while (whole < bytes.size()) {
    const std::string_view rest = bytes.substr(whole);
    const size_t size = CharacterBytes(static_cast<uint8_t>(rest.front()));
    if (size == 0 || size > rest.size()) break;
    size_t i = 1;
    while (i < size && MayFollow(rest.substr(0, i), static_cast<uint8_t>(rest[i]))) ++i;
    if (i < size) break;
    whole += size;
  }
  return whole;
}

bool Utf8Stream::Continues(char byte) const {
  return MayFollow({held_.data(), held_bytes_}, static_cast<uint8_t>(byte));
}

bool Utf8Stream::Hold(char byte) {
  if (held_bytes_ == 0 && CharacterBytes(static_cast<uint8_t>(byte)) == 0) return false;
  held_[held_bytes_++] = byte;
  return true;
}

std::string_view Utf8Stream::Whole() {
  const size_t size = CharacterBytes(static_cast<uint8_t>(held_[0]));
  if (held_bytes_ < size) return {};
  held_bytes_ = 0;
  return {held_.data(), size};
}

}  // namespace tvl
